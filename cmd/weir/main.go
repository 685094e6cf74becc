package main
import (_ "github.com/valyala/fasthttp"; _ "go.uber.org/zap"; _ "github.com/prometheus/client_golang/prometheus/promhttp"; _ "github.com/spf13/cobra"; _ "github.com/google/jsonschema-go/jsonschema"; _ "golang.org/x/sys/unix";_ "github.com/dlclark/regexp2"; _ "github.com/goccy/go-yaml/ast"; _ "github.com/goccy/go-yaml/parser"; _ "github.com/HdrHistogram/hdrhistogram-go"; _ "go.uber.org/goleak"; _ "pgregory.net/rapid";_ "github.com/rogpeppe/go-internal/testscript"; _ "github.com/cespare/xxhash/v2")
func main(){}
