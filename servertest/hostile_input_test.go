package servertest_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// marker stands in whatever hostile input can hold it: it must not come up in the log.
const marker = "hostile7731"

// A target is a request that the service would take, and the starting point of many
// that it must not fall over.
type target struct {
	// door is how its failures look, host where it is, token what it is called with.
	door, host, token string
	// plain is the address of a listener without TLS, if it is at one.
	plain  string
	method string
	// path has {placeholders} with good values in at.
	path, query string
	at          map[string]string
	body        any
}

// A shot is one hostile request as bytes.
type shot struct {
	target
	what string
	raw  []byte
	// broken: not HTTP any more, so that the server below the doors may answer, or hang
	// up.
	broken bool
}

func (t target) fill(change map[string]string) string {
	path := t.path
	for name, v := range t.at {
		if c, ok := change[name]; ok {
			v = c
		}
		path = strings.ReplaceAll(path, "{"+name+"}", v)
	}
	return path
}

// request writes a request with the target's token. Extra headers come as lines.
func (t target) request(method, uri, version string, headers []string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", method, uri, version, t.host)
	has := func(name string) bool {
		return slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(strings.ToLower(h), name) })
	}
	if t.token != "" && !has("authorization:") {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", t.token)
	}
	if body != nil && !has("content-type:") {
		kind := "application/json"
		if t.door == "login" {
			kind = "application/x-www-form-urlencoded"
		}
		fmt.Fprintf(&b, "Content-Type: %s\r\n", kind)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if !has("transfer-encoding:") && !has("content-length:") && (body != nil || method != http.MethodGet && method != http.MethodHead) {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

func (t target) uri(change map[string]string) string {
	if t.query == "" {
		return t.fill(change)
	}
	return t.fill(change) + "?" + t.query
}

func (t target) json() []byte {
	switch b := t.body.(type) {
	case nil:
		return nil
	case string:
		return []byte(b)
	}
	b, err := json.Marshal(t.body)
	if err != nil {
		panic(err)
	}
	return b
}

// nastySegments are put where a name stands in a path.
var nastySegments = []string{
	marker, "..", ".", "%2e%2e", "%2e%2e%2f%2e%2e%2f" + marker, "..%2f..%2f..%2fetc%2fpasswd", "%00", marker + "%00", "%ff%fe" + marker,
	strings.Repeat(marker, 400), "%E2%80%AE" + marker, marker + "%20%20", "%25" + marker, "'" + marker, "%22" + marker, ";" + marker, "*", "$" + marker,
	"(" + marker + ")", "~" + marker, "%0d%0aX-Injected:%20" + marker, "{" + marker + "}", "%5c..%5c" + marker, "%2f" + marker, "-", "_", "%09",
	"%F0%9F%92%A9" + marker, "0", "-1", "%7f", marker + "%2Fx%2F..%2F..", "null", "%C3%A9" + marker, "%ef%bb%bf" + marker, "a%CC%81" + marker,
}

// nastyValues are JSON texts, or what pretends to be, put where a value stands.
var nastyValues = []string{
	`null`, `""`, `"` + marker + `"`, `true`, `0`, `-1`, `1.5`, `1e400`, `99999999999999999999999`, `-9223372036854775809`, `2147483648`, `[]`, `{}`, `[null]`, `[[]]`,
	`{"` + marker + `":null}`, `["` + marker + `"]`, `"` + strings.Repeat(marker, 3000) + `"`, `"` + marker + `\u0000\u0001\u001f"`, `"\u202e` + marker + `"`,
	`"\ud800` + marker + `"`, "\"\xff\xfe" + marker + `"`, `"../../` + marker + `"`, `"2024-13-45T99:99:99Z"`, `"P99999999999D"`, `"-PT1S"`, `"https://` + marker + `.invalid/\r\nX: y"`,
	`"/subscriptions/` + marker + `"`, `[` + strings.Repeat(`"`+marker+`",`, 2000) + `""]`, `{"id":{"id":{"id":"` + marker + `"}}}`, `"${jndi:ldap://` + marker + `}"`, `"%s%n%x` + marker + `"`,
}

// nastyBodies stand in place of a whole body.
func nastyBodies(good []byte) [][]byte {
	bodies := [][]byte{
		nil, []byte(" "), []byte("null"), []byte("[]"), []byte(`"` + marker + `"`), []byte("1"), []byte("{"), []byte("{}}"), []byte("\x00\x01" + marker),
		[]byte("\xef\xbb\xbf{}"), []byte("<xml>" + marker + "</xml>"), []byte("{'" + marker + "':1}"), []byte(`{"` + marker + `":1,}`),
		[]byte(strings.Repeat("[", 100_000)), []byte(strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)),
		[]byte(strings.Repeat(`{"properties":`, 5_000)), append([]byte("\x1f\x8b\x08\x00"), good...), []byte("{\"a\":\"\xc3\x28" + marker + "\"}"),
		append(slices.Clone(good), good...),
	}
	for _, n := range []int{1, len(good) / 3, len(good) / 2, len(good) - 1} {
		if n > 0 && n < len(good) {
			bodies = append(bodies, good[:n])
		}
	}
	if len(good) > 2 && good[0] == '{' {
		// Every property twice, the second time as it was and as something else.
		inner := string(good[1 : len(good)-1])
		bodies = append(bodies, []byte("{"+inner+","+inner+"}"), []byte(`{"id":1,"properties":[],"value":"`+marker+`",`+inner+"}"))
	}
	return bodies
}

// nastyHeaders are added to a request, one set at a time.
var nastyHeaders = [][]string{
	{"Content-Type: text/plain"},
	{"Content-Type: " + marker},
	{"Content-Type: application/json; charset=utf-16"},
	{"Content-Type: multipart/form-data"},
	{"Content-Type: ;;;"},
	{"Content-Encoding: gzip"},
	{"Accept-Encoding: gzip, " + marker},
	{"Accept: " + marker + "/" + marker},
	{"Expect: 100-continue"},
	{"Range: bytes=0-"},
	{"Range: bytes=5-2"},
	{"Range: bytes=-1"},
	{"Range: bytes=0-0,2-3"},
	{"Range: bytes=99999999999999999999-"},
	{"Range: " + marker},
	{"Ocp-Range: bytes=9-1"},
	{"Ocp-Range: " + marker},
	{"If-Match: " + marker},
	{"If-Match: \"" + marker},
	{"If-Match: W/*,,,"},
	{"If-None-Match: *"},
	{"If-None-Match: \"\""},
	{"If-Modified-Since: " + marker},
	{"If-Modified-Since: Mon, 01 Jan 0000 00:00:00 GMT"},
	{"If-Unmodified-Since: Sat, 31 Feb 2999 25:61:61 GMT"},
	{"If-Unmodified-Since: -1"},
	{"X-Http-Method-Override: DELETE"},
	{"Client-Request-Id: " + marker + strings.Repeat("x", 5000), "Return-Client-Request-Id: true"},
	{"X-Ms-Client-Request-Id: \t" + marker, "X-Ms-Return-Client-Request-Id: TRUE"},
	{"Ocp-Date: " + marker},
	{"Authorization: Bearer"},
	{"Authorization: " + marker},
	{"Authorization: Bearer " + strings.Repeat("a.b.c", 6000)},
	{"Authorization: Bearer a.b.c.d." + marker},
	{"Authorization: SharedKey " + marker},
	{"Authorization: SharedKey :"},
	{"Authorization: SharedKey " + marker + ":" + marker},
	{"Authorization: Basic ::::"},
	{"Authorization: Bearer eyJhbGciOiJub25lIn0.e30."},
	{"X-Forwarded-Host: " + marker, "Forwarded: host=" + marker},
}

// nastyQueries are added to a query.
var nastyQueries = []string{
	"api-version=" + marker, "api-version=", "api-version", "api-version=2024-07-01&api-version=" + marker, "%61pi-version=2024-07-01", "API-VERSION=7.4", "api-version=%00", "api-version=9999-99-99",
	"$filter=" + marker + "%20eq", "$filter=((((((((((((((((((((((((((((((", "$filter=state%20eq%20'" + marker, "$filter=%27%00%27", "%24filter=startswith(id,%27" + marker + "%27)%20or%20(", "$filter=" + strings.Repeat("(", 5000),
	"$filter=" + strings.Repeat("not%20", 3000) + "x", "$select=" + marker, "$select=,,,%00", "$select=id/id/id/id", "$expand=" + marker, "$top=-1", "$top=" + marker, "$skiptoken=" + marker, "$skiptoken=%00%ff", "$skipToken=AAAA%3D%3D",
	"maxresults=-1", "maxresults=0", "maxresults=999999999999999999999", "maxresults=" + marker, "timeout=-5", "timeout=" + marker, "recursive=" + marker, marker + "=" + strings.Repeat("x", 8000), "%zz=1", "a;b=c", "=&=&&&==", "%00=%00",
	strings.Repeat("&a="+marker, 500),
}

// A generator makes shots of targets.
type generator struct {
	rng *rand.Rand
	out []shot
}

// some reports whether to keep one of many like it: with hundreds of targets each
// comes up often.
func (g *generator) some() bool { return g.rng.Float64() < 0.4 }

func (g *generator) shoot(t target, what string, raw []byte, broken bool) {
	g.out = append(g.out, shot{target: t, what: what, raw: raw, broken: broken})
}

func (g *generator) all(t target) {
	good := t.json()
	plain := t.uri(nil)
	for _, name := range slices.Sorted(maps.Keys(t.at)) {
		for _, v := range nastySegments {
			if !g.some() {
				continue
			}
			g.shoot(t, "path "+name, t.request(t.method, t.uri(map[string]string{name: v}), "HTTP/1.1", nil, good), false)
		}
	}
	if good != nil {
		for _, b := range nastyBodies(good) {
			g.shoot(t, "body", t.request(t.method, plain, "HTTP/1.1", nil, b), false)
		}
		if _, form := t.body.(string); !form {
			g.values(t, good)
		}
		chunked := fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(good), good)
		g.shoot(t, "chunked", t.request(t.method, plain, "HTTP/1.1", []string{"Transfer-Encoding: chunked"}, chunked), false)
		g.shoot(t, "bad chunks", t.request(t.method, plain, "HTTP/1.1", []string{"Transfer-Encoding: chunked"}, []byte("zz\r\n"+marker+"\r\n0\r\n\r\n")), true)
		g.shoot(t, "two lengths", t.request(t.method, plain, "HTTP/1.1", []string{"Content-Length: 3", "Content-Length: 4"}, good), true)
		g.shoot(t, "short body", t.request(t.method, plain, "HTTP/1.1", []string{"Content-Length: " + strconv.Itoa(len(good)+100)}, good), true)
	}
	for _, h := range nastyHeaders {
		if g.some() {
			g.shoot(t, "header "+h[0][:min(len(h[0]), 40)], t.request(t.method, plain, "HTTP/1.1", h, good), false)
		}
	}
	for _, q := range nastyQueries {
		if g.some() {
			g.shoot(t, "query "+q[:min(len(q), 40)], t.request(t.method, t.fill(nil)+"?"+q, "HTTP/1.1", nil, good), false)
			g.shoot(t, "query and "+q[:min(len(q), 40)], t.request(t.method, plain+"&"+q, "HTTP/1.1", nil, good), false)
		}
	}
	for _, m := range []string{"TRACE", "OPTIONS", "PROPFIND", "get", "HEAD", "PUT", "PATCH", "POST", "G" + marker} {
		if m != t.method && g.some() {
			g.shoot(t, "method "+m, t.request(m, plain, "HTTP/1.1", nil, good), false)
		}
	}
	g.shoot(t, "HTTP/1.0", t.request(t.method, plain, "HTTP/1.0", nil, good), false)
	g.shoot(t, "absolute", t.request(t.method, "https://"+t.host+plain, "HTTP/1.1", nil, good), false)
	g.shoot(t, "slashes", t.request(t.method, "//"+strings.ReplaceAll(plain, "/", "//"), "HTTP/1.1", nil, good), false)
	if g.some() {
		g.shoot(t, "large header", t.request(t.method, plain, "HTTP/1.1", []string{"X-Large: " + strings.Repeat(marker, 20_000)}, good), true)
		g.shoot(t, "bad escape", t.request(t.method, t.fill(nil)+"%zz"+marker, "HTTP/1.1", nil, good), true)
		g.shoot(t, "bad version", t.request(t.method, plain, "HTTP/9.9", nil, good), true)
		g.shoot(t, "control", t.request(t.method, t.fill(nil)+"\x01"+marker, "HTTP/1.1", nil, good), true)
		g.shoot(t, "odd coding", t.request(t.method, plain, "HTTP/1.1", []string{"Transfer-Encoding: " + marker}, good), true)
		g.shoot(t, "folded header", t.request(t.method, plain, "HTTP/1.1", []string{"X-A: b\r\n " + marker}, good), true)
	}
}

// values puts each nasty value where each value of a body stands, and leaves each out.
func (g *generator) values(t target, good []byte) {
	var whole any
	if err := json.Unmarshal(good, &whole); err != nil {
		panic(err)
	}
	const here = "@@here@@"
	put := func(what string, raw string) {
		b, _ := json.Marshal(whole)
		b = bytes.Replace(b, []byte(`"`+here+`"`), []byte(raw), 1)
		g.shoot(t, "value "+what, t.request(t.method, t.uri(nil), "HTTP/1.1", nil, b), false)
	}
	// Bodies with many properties would take the time of all others.
	share := min(0.4, 300/float64(1+bytes.Count(good, []byte(":"))*len(nastyValues)))
	var walk func(v any, at string, set func(any))
	walk = func(v any, at string, set func(any)) {
		set(here)
		for _, nasty := range nastyValues {
			if g.rng.Float64() < share {
				put(at+" = "+nasty[:min(len(nasty), 30)], nasty)
			}
		}
		set(v)
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				kept := v[name]
				delete(v, name)
				put(at+"."+name+" left out", "")
				v[name] = kept
				walk(kept, at+"."+name, func(x any) { v[name] = x })
			}
		case []any:
			for i := range v {
				walk(v[i], at+"["+strconv.Itoa(i)+"]", func(x any) { v[i] = x })
			}
		}
	}
	walk(whole, "", func(x any) { whole = x })
}

// A gun shoots at one host over a connection that it keeps while it can.
type gun struct {
	addr, host string
	// roots are nil where there is no TLS.
	roots *x509.CertPool
	conn  halfCloser
	in    *bufio.Reader
}

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

func roots(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s has no certificate", file)
	}
	return pool
}

func (g *gun) close() {
	if g.conn != nil {
		g.conn.Close()
		g.conn = nil
	}
}

// shoot sends a shot and reads the answer; nil if the connection was closed instead.
func (g *gun) shoot(s shot) (*http.Response, []byte, error) {
	for try := 0; ; try++ {
		fresh := g.conn == nil
		if fresh {
			raw, err := net.DialTimeout("tcp", g.addr, 10*time.Second)
			if err != nil {
				return nil, nil, err
			}
			g.conn = raw.(*net.TCPConn)
			if g.roots != nil {
				g.conn = tls.Client(raw, &tls.Config{ServerName: g.host, RootCAs: g.roots})
			}
			g.in = bufio.NewReader(g.conn)
		}
		resp, body, err := g.exchange(s)
		if err == nil || fresh || try > 0 {
			if err != nil || s.broken || resp.Close {
				g.close()
			}
			return resp, body, err
		}
		// The server may have closed a kept connection.
		g.close()
	}
}

func (g *gun) exchange(s shot) (*http.Response, []byte, error) {
	if err := g.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, nil, err
	}
	// What is refused early may break the writing; the answer counts.
	wrote := make(chan error, 1)
	go func() {
		_, err := g.conn.Write(s.raw)
		if s.broken && err == nil {
			err = g.conn.CloseWrite()
		}
		wrote <- err
	}()
	method := s.method
	if m, _, ok := strings.Cut(string(s.raw[:min(len(s.raw), 40)]), " "); ok {
		method = m
	}
	req := &http.Request{Method: method}
	resp, err := http.ReadResponse(g.in, req)
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(g.in, req)
	}
	if err != nil {
		g.conn.Close()
		<-wrote
		return nil, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.Close || s.broken {
		g.conn.Close()
	}
	<-wrote
	return resp, body, err
}
