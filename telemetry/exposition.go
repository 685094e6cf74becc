package telemetry

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// maxScrapes bounds the scrapes at one time; further ones get 503. A scrape of a large
// configuration takes memory.
const maxScrapes = 8

// newScrapes makes what is behind a scrape: our series and, as series of the process, those of the
// Go runtime and of the operating system.
func newScrapes(r *Registry, f filter) *prometheus.Registry {
	scrapes := prometheus.NewRegistry()
	scrapes.MustRegister(collector{r, f})
	if f.level(ProcessLevel) && f.pools == nil {
		scrapes.MustRegister(
			collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		)
	}
	return scrapes
}

// Handler serves /metrics as Prometheus asks for it: text, OpenMetrics or protobuf; only protobuf
// carries the native histograms. The parameters pool=NAME and level=process|listener|pool|backend
// may be given several times; they reduce the answer to those pools and levels. An unknown
// parameter or level is a 400, an unknown pool an empty answer.
func (r *Registry) Handler() http.Handler {
	slots := make(chan struct{}, maxScrapes)
	whole := r.scrape(newScrapes(r, filter{}))
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "/metrics is read with GET", http.StatusMethodNotAllowed)
			return
		}
		f, err := parseFilter(req.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, fmt.Sprintf("%d scrapes are running", maxScrapes), http.StatusServiceUnavailable)
			return
		}
		if f.all() {
			whole.ServeHTTP(w, req)
			return
		}
		r.scrape(newScrapes(r, f)).ServeHTTP(w, req)
	})
}

// scrape serves what a gatherer gives. A metric that cannot be had is reported to the log and left
// out: the others are worth more than an error.
func (r *Registry) scrape(g prometheus.Gatherer) http.Handler {
	opts := promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true}
	if r.options.Log != nil {
		opts.ErrorLog = scrapeLog{r.options.Log.Sugar()}
	}
	return promhttp.HandlerFor(g, opts)
}

// parseFilter reads the parameters of a scrape.
func parseFilter(query string) (filter, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return filter{}, fmt.Errorf("query of /metrics: %w", err)
	}
	var f filter
	for name, wanted := range values {
		switch name {
		case "pool":
			f.pools = make(map[string]bool)
			for _, pool := range wanted {
				f.pools[pool] = true
			}
		case "level":
			f.levels = make(map[Level]bool)
			for _, level := range wanted {
				if !knownLevel(Level(level)) {
					return filter{}, fmt.Errorf(
						"unknown level %+q: want process, listener, pool or backend", level)
				}
				f.levels[Level(level)] = true
			}
		default:
			return filter{}, fmt.Errorf("unknown parameter %+q: want pool or level", name)
		}
	}
	return f, nil
}

func knownLevel(l Level) bool {
	return l == ProcessLevel || l == ListenerLevel || l == PoolLevel || l == BackendLevel
}

// scrapeLog is the log as promhttp wants it.
type scrapeLog struct {
	log *zap.SugaredLogger
}

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warnln(v...) }
