package config

import "time"

// kind is the type of a key.
type kind uint8

const (
	kindObject kind = iota // fixed keys
	kindMap                // names that the user chooses
	kindList
	kindText
	kindBool
	kindInt
	kindFloat
	kindPercent
	kindDuration
	kindSize
	kindEnum
	kindReference
	kindFile
	kindOutput
	kindListen
	kindAddress
	kindIP
	kindPrefix
	kindHost
	kindHostPort
	kindHostPattern
	kindURLPath
	kindTarget
	kindRedirect
	kindRewrite
	kindMethod
	kindALPN
	kindFieldName
	kindFieldValue
	kindBody
	kindCookieName
	kindCookiePath
	kindNodeID
	kindPseudonym
	kindKey
	kindToken
	kindID
	kindMeta
	kindPattern
	kindRegexp
	kindStatus
	kindPayload
	kindExpect
)

// scalar reports whether values of k are written as one scalar.
func (k kind) scalar() bool { return k > kindList }

// kindInfo is what there is to know about one kind.
type kindInfo struct {
	name    string // for people, with its article: "a duration"
	example string // how it is written
	zero    any    // value of a key that is neither given nor has a default
	schema  string // expression for texts in the JSON Schema; empty: any text
}

// tokenSchema is the expression of a token of RFC 9110.
const tokenSchema = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"

// kinds describes the kinds. It is never changed.
var kinds = [...]kindInfo{
	kindObject:      {name: "a mapping"},
	kindMap:         {name: "a mapping"},
	kindList:        {name: "a list"},
	kindText:        {name: "a text", zero: ""},
	kindBool:        {name: "true or false", example: "true or false", zero: false},
	kindInt:         {name: "a whole number", example: "10", zero: int64(0), schema: `^[0-9]+$`},
	kindFloat:       {name: "a number", example: "0.5", zero: 0.0},
	kindPercent:     {name: "a percentage", example: "20%", zero: 0.0, schema: `^[0-9]+(\.[0-9]+)?%$`},
	kindDuration:    {name: "a duration", example: "250ms, 5s or 10m", zero: time.Duration(0), schema: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`},
	kindSize:        {name: "a size", example: "64KiB or 1024", zero: int64(0), schema: `^[0-9]+ ?([Bb]|[KkMmGgTt][Ii][Bb])?$`},
	kindEnum:        {name: "a word", zero: ""},
	kindReference:   {name: "the name of a pool", zero: ""},
	kindFile:        {name: "a path", example: "/etc/weir/x", zero: ""},
	kindOutput:      {name: "an output", example: "stdout", zero: ""},
	kindListen:      {name: "an IP:port", example: "10.0.0.1:8080 or :8080", zero: ""},
	kindAddress:     {name: "an IP:port or name:port", example: "10.0.0.11:8080 or app.example:8080"},
	kindIP:          {name: "an IP address", example: "10.0.0.11"},
	kindPrefix:      {name: "a network", example: "10.0.0.0/8"},
	kindHost:        {name: "a host name", example: "app.example", zero: ""},
	kindHostPort:    {name: "a host name", example: "app.example", zero: ""},
	kindHostPattern: {name: "a host name", example: "app.example or *.example", zero: ""},
	kindURLPath:     {name: "a path", example: "/api", zero: "", schema: `^(/.*)?$`},
	kindTarget:      {name: "a request target", example: "/healthz?full=1", zero: "", schema: `^/`},
	kindRedirect:    {name: "a URL", example: "https://new.example{path}{query}", zero: "", schema: `^(/|[Hh][Tt][Tt][Pp][Ss]?://)`},
	kindRewrite:     {name: "a path", example: "/v2{path}", zero: "", schema: `^/`},
	kindMethod:      {name: "a method", example: "GET", zero: "", schema: tokenSchema},
	kindALPN:        {name: "a protocol", example: "h2 or http/1.1", zero: ""},
	kindFieldName:   {name: "the name of a field", example: "X-Powered-By", zero: "", schema: tokenSchema},
	kindFieldValue:  {name: "a field value", example: "text/plain", zero: ""},
	kindBody:        {name: "a text", zero: ""},
	kindCookieName:  {name: "the name of a cookie", example: "SESSION", zero: "", schema: tokenSchema},
	kindCookiePath:  {name: "a path", example: "/", zero: "", schema: `^/`},
	kindNodeID:      {name: "an identifier", example: "_edge1", zero: "", schema: `^(address|_[A-Za-z0-9._-]+)?$`},
	kindPseudonym:   {name: "the name of a proxy", example: "weir", zero: "", schema: "^[!#$%&'*+.^_`|~0-9A-Za-z-]*$"},
	kindKey:         {name: "a key", example: "64 hexadecimal digits", zero: []byte(nil), schema: `^([0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?)$`},
	kindToken:       {name: "a token", example: "the output of: openssl rand -hex 32", zero: "", schema: `^[!-~]{16,256}$`},
	kindID:          {name: "an id", example: "7f3a-1", zero: "", schema: `^[!-~]{0,255}$`},
	kindMeta:        {name: "a text", zero: ""},
	kindPattern:     {name: "a regular expression", example: "^/user/[0-9]+$", zero: ""},
	kindRegexp:      {name: "a regular expression", example: "^ok", zero: ""},
	kindStatus:      {name: "a status", example: `200, 200-299 or "!204"`, schema: `^!?[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`},
	kindPayload:     {name: "a payload", example: "PING or hex:50494e47", zero: []byte(nil)},
	kindExpect:      {name: "an expectation", example: "^PONG or hex:504f4e47", zero: Expect{}},
}

// parsers read text that has been expanded already. They check neither bounds nor words. The array
// is never changed.
var parsers = [...]func(text string, k *key) (any, *problem){
	kindText:        parseText,
	kindBool:        parseBool,
	kindInt:         parseInt,
	kindFloat:       parseFloat,
	kindPercent:     parsePercent,
	kindDuration:    parseDuration,
	kindSize:        parseSize,
	kindEnum:        parseText,
	kindReference:   parseText,
	kindFile:        parseFile,
	kindOutput:      parseOutput,
	kindListen:      parseListen,
	kindAddress:     parseAddress,
	kindIP:          parseIP,
	kindPrefix:      parsePrefix,
	kindHost:        parseHost,
	kindHostPort:    parseHostPort,
	kindHostPattern: parseHostPattern,
	kindURLPath:     parseURLPath,
	kindTarget:      parseTarget,
	kindRedirect:    parseRedirect,
	kindRewrite:     parseRewrite,
	kindMethod:      parseMethod,
	kindALPN:        parseALPN,
	kindFieldName:   parseFieldName,
	kindFieldValue:  parseFieldValue,
	kindBody:        parseBody,
	kindCookieName:  parseCookieName,
	kindCookiePath:  parseCookiePath,
	kindNodeID:      parseNodeID,
	kindPseudonym:   parsePseudonym,
	kindKey:         parseKey,
	kindToken:       parseToken,
	kindID:          parseID,
	kindMeta:        parseMeta,
	kindPattern:     parsePattern,
	kindRegexp:      parseRegexp,
	kindStatus:      parseStatus,
	kindPayload:     parsePayload,
	kindExpect:      parseExpect,
}
