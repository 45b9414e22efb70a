package rest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

// door has a few routes that say which of them was taken, and with what.
func door() *rest.Door {
	d := rest.NewDoor(rest.Config{
		Style:   rest.ARM,
		MaxBody: 64,
		Authenticate: func(r *http.Request) (identity.Caller, error) {
			if r.Header.Get("Authorization") == "" {
				return identity.Caller{}, fault.AuthenticationFailed
			}
			return identity.Caller{Name: "me"}, nil
		},
		Check: func(r *http.Request) error {
			if !rest.Has(r, "api-version") {
				return fault.MissingAPIVersion
			}
			return nil
		},
	})
	say := func(what string, names ...string) rest.Handler {
		return func(r *http.Request, who identity.Caller) (rest.Reply, error) {
			for _, n := range names {
				what += "|" + r.PathValue(n)
			}
			return rest.OK(what + "|" + who.Name), nil
		}
	}
	d.Handle("GET /keys/{key}", say("key", "key"))
	d.Handle("GET /keys/{key}/{version}", say("version", "key", "version"))
	d.Handle("GET /keys/{key}/versions", say("versions", "key"))
	d.Handle("GET /files/{path...}", say("file", "path"))
	d.Handle("GET /certificates({id})", say("certificate", "id"))
	d.Handle("GET /{scope...}/providers/Roles/{name}", say("role", "scope", "name"))
	d.Handle("PUT /keys/{key}", func(r *http.Request, _ identity.Caller) (rest.Reply, error) {
		var in struct {
			Size rest.Int           `json:"size"`
			Name rest.Field[string] `json:"name"`
		}
		if err := rest.Decode(r, &in); err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(in.Name).With("x-size", strings.Repeat("x", int(in.Size))), nil
	})
	d.Handle("GET /broken", func(*http.Request, identity.Caller) (rest.Reply, error) {
		return rest.Reply{}, errors.New("a secret of ours")
	})
	d.Open("GET /open", say("open"))
	return d
}

func ask(t *testing.T, method, target, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "x")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	door().ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(b)
}

func TestRoutesMatchAsClientsWriteThem(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/keys/K1?api-version=1":                          `"key|K1|me"`,
		"//KEYS/K1/?api-version=1":                        `"key|K1|me"`,
		"/keys/K1/V?api%2Dversion=1":                      `"version|K1|V|me"`,
		"/keys/K1/Versions?API-Version=1":                 `"versions|K1|me"`,
		"/keys/a%2Fb/v?api-version=1":                     `"version|a/b|v|me"`,
		"/files/wd/a%20b?api-version=1":                   `"file|wd/a b|me"`,
		"/files/wd%2Fa?api-version=1":                     `"file|wd/a|me"`,
		"/certificates(x=1,y=2)?api-version=1":            `"certificate|x=1,y=2|me"`,
		"/subscriptions/s/PROVIDERS/roles/r?api-version=": `"role|subscriptions/s|r|me"`,
		"/open?api-version=1":                             `"open|"`,
	} {
		resp, body := ask(t, http.MethodGet, target, "")
		if resp.StatusCode != 200 || body != want {
			t.Errorf("GET %s = %d %s, want %s", target, resp.StatusCode, body, want)
		}
	}
}

func TestFailuresWearTheDoorsEnvelope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		code                       string
	}{
		{"no such path", "GET", "/nothing?api-version=1", "", nil, 404, "ResourceNotFound"},
		{"no such method", "DELETE", "/keys/k?api-version=1", "", nil, 405, "MethodNotAllowed"},
		{"unknown caller learns nothing", "GET", "/nothing", "", []string{"Authorization", ""}, 401, "AuthenticationFailed"},
		{"check", "GET", "/keys/k", "", nil, 400, "MissingApiVersionParameter"},
		{"our own failure", "GET", "/broken?api-version=1", "", nil, 500, "InternalError"},
		{"not JSON", "PUT", "/keys/k?api-version=1", "{", nil, 400, "InvalidRequestContent"},
		{"no body", "PUT", "/keys/k?api-version=1", " ", nil, 400, "InvalidRequestContent"},
		{"wrong type", "PUT", "/keys/k?api-version=1", `{"name":[]}`, nil, 400, "InvalidRequestContent"},
		{"no number", "PUT", "/keys/k?api-version=1", `{"size":"x"}`, nil, 400, "InvalidRequestContent"},
		{"too large", "PUT", "/keys/k?api-version=1", `{"name":"` + strings.Repeat("x", 99) + `"}`, nil, 413, "RequestBodyTooLarge"},
		{"wrong content type", "PUT", "/keys/k?api-version=1", `{}`, []string{"Content-Type", "text/plain"}, 415, "UnsupportedMediaType"},
	} {
		resp, body := ask(t, c.method, c.target, c.body, c.header...)
		var said struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Errorf("%s: %q: %v", c.name, body, err)
		}
		if resp.StatusCode != c.status || said.Error.Code != c.code || said.Error.Message == "" {
			t.Errorf("%s: %d %s, want %d %s", c.name, resp.StatusCode, body, c.status, c.code)
		}
		if strings.Contains(body, "secret of ours") || resp.Header.Get("x-ms-request-id") == "" {
			t.Errorf("%s: %s tells too much or has no request id", c.name, body)
		}
	}
	if resp, _ := ask(t, "DELETE", "/keys/k?api-version=1", ""); resp.Header.Get("Allow") != "GET, PUT" {
		t.Errorf("Allow = %q", resp.Header.Get("Allow"))
	}
}

func TestFieldTellsAbsentNullAndValueApart(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]rest.Field[string]{
		`{}`:                      {},
		`{"name":null}`:           {Set: true, Null: true},
		`{"name":"n","size":"3"}`: {Set: true, Value: "n"},
		`{"name":"n","size":3}`:   {Set: true, Value: "n"},
	} {
		var in struct {
			Name rest.Field[string]
			Size rest.Int
		}
		if err := json.Unmarshal([]byte(body), &in); err != nil || in.Name != want || in.Name.Value == "n" && in.Size != 3 {
			t.Errorf("%s = %+v, %v; want %+v", body, in, err, want)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		d   time.Duration
		out string
	}{
		"PT0S": {0, "PT0S"}, "PT15M00S": {15 * time.Minute, "PT15M"}, "PT01H00M00S": {time.Hour, "PT1H"},
		"P7D": {7 * 24 * time.Hour, "P7D"}, "P1DT2H": {26 * time.Hour, "P1DT2H"}, "PT0.5S": {500 * time.Millisecond, "PT0.5S"},
		"P1W": {7 * 24 * time.Hour, "P7D"}, "-PT1S": {-time.Second, "-PT1S"},
		"P10675199DT2H48M5.4775807S": {time.Duration(rest.Unlimited), "P10675199DT2H48M5.4775807S"},
	} {
		d, err := rest.ParseDuration(in)
		if err != nil || time.Duration(d) != want.d || d.String() != want.out {
			t.Errorf("%s = %v %q, %v; want %v %q", in, time.Duration(d), d, err, want.d, want.out)
		}
	}
	for _, bad := range []string{"", "P", "PT", "1H", "PT1", "P1H", "PT1D", "PT1S2M", "PT1S1S", "P-1D", "PTxS", "PT.S"} {
		if d, err := rest.ParseDuration(bad); err == nil {
			t.Errorf("%q = %v, want an error", bad, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("P1DT2H3M4.5S")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := rest.ParseDuration(s)
		if err != nil {
			return
		}
		// Nanoseconds are kept as far as a float of seconds can hold them.
		again, err := rest.ParseDuration(d.String())
		if diff := time.Duration(again - d).Abs(); err != nil || diff > time.Duration(d).Abs()/1e12+time.Microsecond {
			t.Errorf("%q is %q, which is %q: %v", s, d, again, err)
		}
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	etag := rest.ETag(0xABC)
	for _, c := range []struct {
		method, header, value string
		want                  error
	}{
		{"PUT", "If-Match", `"0xABC"`, nil},
		{"PUT", "If-Match", `0xABC`, nil},
		{"PUT", "If-Match", `W/"0x1", "0xABC"`, nil},
		{"PUT", "If-Match", `*`, nil},
		{"PUT", "If-Match", `"0x1"`, fault.PreconditionFailed},
		{"GET", "If-None-Match", `"0xABC"`, fault.NotModified},
		{"PUT", "If-None-Match", `*`, fault.PreconditionFailed},
		{"GET", "If-None-Match", `"0x1"`, nil},
		{"GET", "If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT", fault.NotModified},
		{"GET", "If-Modified-Since", "Fri, 02 Jan 2026 03:04:04 GMT", nil},
		{"PUT", "If-Unmodified-Since", "Fri, 02 Jan 2026 03:04:05 GMT", nil},
		{"PUT", "If-Unmodified-Since", "Fri, 02 Jan 2026 03:04:04 GMT", fault.PreconditionFailed},
		{"PUT", "If-Unmodified-Since", "garbage", nil},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set(c.header, c.value)
		if err := rest.Conditions(r, etag, at); !errors.Is(err, c.want) {
			t.Errorf("%s with %s: %s = %v, want %v", c.method, c.header, c.value, err, c.want)
		}
	}
	r := httptest.NewRequest("PUT", "/", nil)
	r.Header.Set("If-Match", "*")
	if err := rest.Conditions(r, "", time.Time{}); !errors.Is(err, fault.PreconditionFailed) {
		t.Errorf("If-Match: * on nothing = %v, want %v", err, fault.PreconditionFailed)
	}
}
