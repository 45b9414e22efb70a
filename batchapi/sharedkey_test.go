package batchapi_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/batchapi"
	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// one is a key ring with one key for everything.
type one struct{ *envelope.Key }

func (o one) Sealer(store.Space) (store.Sealer, error) { return o, nil }
func (o one) Fresh([]byte) bool                        { return true }
func (o one) Names(label []byte) ([][]byte, error) {
	tag, err := o.Name(label)
	return [][]byte{tag}, err
}

// keysOnly lets callers with the account's key do everything, and nobody else.
type keysOnly struct{}

func (keysOnly) RequireData(_ context.Context, who identity.Caller, _, scope string) error {
	if who.Account == scope {
		return nil
	}
	return fault.AuthorizationFailed.New("")
}

var key = base64.StdEncoding.EncodeToString([]byte("the first key of the account, 64 bytes or so"))

const host = "mybatch.westus2.batch.azure.com"

// door is a door over a real store with one account.
func door(t *testing.T, edit ...func(*batchapi.Account)) http.Handler {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	st := store.New(driver, one{envelope.NewKey(envelope.NewSecret(), 1)})
	acct := batchapi.Account{
		Account: batch.Account{Space: store.NewSpace(), ID: "/id", Name: "mybatch", URL: "https://" + host},
		Keys:    []string{base64.StdEncoding.EncodeToString([]byte("another")), key}, SharedKey: true, Tokens: true,
	}
	for _, e := range edit {
		e(&acct)
	}
	return batchapi.New(batchapi.Config{
		Batch: batch.New(batch.Config{
			Store: st, Directory: keysOnly{},
			Accounts: func(context.Context) ([]batch.Account, error) { return []batch.Account{acct.Account}, nil },
		}),
		Find: func(_ context.Context, name, region string) (batchapi.Account, error) {
			if name != "mybatch" || region != "westus2" {
				return batchapi.Account{}, fault.AccountNotFound.New("")
			}
			return acct, nil
		},
		Authenticate: func(_ context.Context, header string, audiences []string) (identity.Caller, error) {
			if header != "Bearer good" || audiences[0] != "https://batch.core.windows.net/" {
				return identity.Caller{}, fault.InvalidToken.New("")
			}
			return identity.Caller{ObjectID: "o"}, nil
		},
		Cloud: resource.Azure(),
	})
}

// sign signs text as the caller of r.
func sign(r *http.Request, text string) {
	secret, _ := base64.StdEncoding.DecodeString(key)
	h := hmac.New(sha256.New, secret)
	io.WriteString(h, text)
	r.Header.Set("Authorization", "SharedKey mybatch:"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, "https://"+host+target, strings.NewReader(body))
	r.Host = host
	r.RequestURI = target
	return r
}

// ask answers a request and returns status, body and, of a failure, the code.
func ask(t *testing.T, h http.Handler, r *http.Request) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var f struct{ Code string }
	if w.Code >= 400 && r.Method != http.MethodHead {
		if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
			t.Errorf("%s %s: %d with %q", r.Method, r.URL, w.Code, w.Body)
		}
	}
	return w, f.Code
}

func date() string { return time.Now().UTC().Format(http.TimeFormat) }

// What clients of several kinds sign, as they were seen to.
func TestSignaturesOfClients(t *testing.T) {
	t.Parallel()
	h := door(t)
	now := date()
	for _, c := range []struct {
		name, method, target, body string
		headers                    map[string]string
		text                       string
		want                       int
	}{
		{
			name: "az with a filter", method: "GET", target: "/pools?api-version=2024-07-01.20.0&%24filter=state%20eq%20%27active%27&%24select=id%2Cstate",
			headers: map[string]string{"ocp-date": now},
			text:    "GET\n\n\n\n\n\n\n\n\n\n\n\nocp-date:" + now + "\n/mybatch/pools\n$filter:state eq 'active'\n$select:id,state\napi-version:2024-07-01.20.0",
			want:    200,
		}, {
			name: "az with an encoded path", method: "GET", target: "/pools/po%20ol?api-version=2024-07-01.20.0",
			headers: map[string]string{"ocp-date": now},
			text:    "GET\n\n\n\n\n\n\n\n\n\n\n\nocp-date:" + now + "\n/mybatch/pools/po%20ol\napi-version:2024-07-01.20.0",
			want:    404,
		}, {
			name: "JavaScript with a decoded path and a content type", method: "GET", target: "/pools/po%20ol?api-version=2022-10-01.16.0",
			headers: map[string]string{"ocp-date": now, "Content-Type": "application/json; charset=utf-8"},
			text:    "GET\n\n\n\n\napplication/json; charset=utf-8\n\n\n\n\n\n\nocp-date:" + now + "\n/mybatch/pools/po ol\napi-version:2022-10-01.16.0",
			want:    404,
		}, {
			name: "a deletion that signs its length", method: "DELETE", target: "/jobs/j?api-version=2024-07-01.20.0",
			headers: map[string]string{"ocp-date": now},
			text:    "DELETE\n\n\n0\n\n\n\n\n\n\n\n\nocp-date:" + now + "\n/mybatch/jobs/j\napi-version:2024-07-01.20.0",
			want:    404,
		}, {
			name: "a body, and the Date header", method: "POST", target: "/jobs?api-version=2024-07-01.20.0&timeout=30", body: `{"id":"j","poolInfo":{"poolId":"p"},"priority":"5"}`,
			headers: map[string]string{"Date": now, "Content-Type": "application/json; odata=minimalmetadata; charset=utf-8"},
			text:    "POST\n\n\n51\n\napplication/json; odata=minimalmetadata; charset=utf-8\n" + now + "\n\n\n\n\n\n/mybatch/jobs\napi-version:2024-07-01.20.0\ntimeout:30",
			want:    201,
		}, {
			name: "conditions", method: "GET", target: "/jobs/j?api-version=2024-07-01.20.0",
			headers: map[string]string{"ocp-date": now, "If-None-Match": `"0x1"`, "ocp-range": "bytes=0-3"},
			text:    "GET\n\n\n\n\n\n\n\n\n\"0x1\"\n\n\nocp-date:" + now + "\nocp-range:bytes=0-3\n/mybatch/jobs/j\napi-version:2024-07-01.20.0",
			want:    200,
		},
	} {
		r := request(c.method, c.target, c.body)
		for name, value := range c.headers {
			r.Header.Set(name, value)
		}
		sign(r, c.text)
		if w, _ := ask(t, h, r); w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
}

func TestProofsThatAreRefused(t *testing.T) {
	t.Parallel()
	const target = "/jobs?api-version=2024-07-01.20.0"
	text := func(now string) string {
		return "GET\n\n\n\n\n\n\n\n\n\n\n\nocp-date:" + now + "\n/mybatch/jobs\napi-version:2024-07-01.20.0"
	}
	signed := func(now string) *http.Request {
		r := request("GET", target, "")
		r.Header.Set("ocp-date", now)
		sign(r, text(now))
		return r
	}
	if w, _ := ask(t, door(t), signed(date())); w.Code != 200 {
		t.Fatalf("a good request: %d %s", w.Code, w.Body)
	}
	for _, c := range []struct {
		name   string
		edit   func(*batchapi.Account)
		r      *http.Request
		status int
		code   string
	}{
		{name: "no proof", r: request("GET", target, ""), status: 401, code: "AuthenticationFailed"},
		{name: "another path", r: func() *http.Request { r := signed(date()); r.RequestURI, r.URL.Path = "/pools?x", "/pools"; return r }(), status: 403, code: "AuthenticationFailed"},
		{name: "another query", r: func() *http.Request { r := signed(date()); r.URL.RawQuery += "&maxresults=1"; return r }(), status: 403, code: "AuthenticationFailed"},
		{name: "another verb", r: func() *http.Request { r := signed(date()); r.Method = "POST"; return r }(), status: 403, code: "AuthenticationFailed"},
		{name: "another header", r: func() *http.Request { r := signed(date()); r.Header.Set("ocp-range", "bytes=0-1"); return r }(), status: 403, code: "AuthenticationFailed"},
		{name: "an old date", r: signed(time.Now().Add(-16 * time.Minute).UTC().Format(http.TimeFormat)), status: 403, code: "AuthenticationFailed"},
		{name: "a date to come", r: signed(time.Now().Add(16 * time.Minute).UTC().Format(http.TimeFormat)), status: 403, code: "AuthenticationFailed"},
		{name: "no date", r: func() *http.Request { r := signed(date()); r.Header.Del("ocp-date"); return r }(), status: 403, code: "AuthenticationFailed"},
		{name: "another account", r: func() *http.Request {
			r := signed(date())
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "mybatch", "other", 1))
			return r
		}(), status: 403, code: "AuthenticationFailed"},
		{name: "no signature", r: func() *http.Request {
			r := signed(date())
			r.Header.Set("Authorization", "SharedKey mybatch")
			return r
		}(), status: 400, code: "InvalidAuthenticationInfo"},
		{name: "another scheme", r: func() *http.Request { r := signed(date()); r.Header.Set("Authorization", "Basic eDp5"); return r }(), status: 400, code: "InvalidAuthenticationInfo"},
		{name: "keys are not allowed", edit: func(a *batchapi.Account) { a.SharedKey = false }, r: signed(date()), status: 403, code: "AuthenticationFailed"},
		{name: "a bad token", r: func() *http.Request {
			r := request("GET", target, "")
			r.Header.Set("Authorization", "Bearer bad")
			return r
		}(), status: 401, code: "InvalidAuthenticationToken"},
		{name: "tokens are not allowed", edit: func(a *batchapi.Account) { a.Tokens = false }, r: func() *http.Request {
			r := request("GET", target, "")
			r.Header.Set("Authorization", "Bearer good")
			return r
		}(), status: 403, code: "AuthenticationFailed"},
		{name: "a token without a role", r: func() *http.Request {
			r := request("GET", target, "")
			r.Header.Set("Authorization", "Bearer good")
			return r
		}(), status: 403, code: "AuthorizationFailed"},
		{name: "no such account", r: func() *http.Request { r := signed(date()); r.Host = "other.westus2.batch.azure.com"; return r }(), status: 404, code: "AccountNotFound"},
		{name: "locked", edit: func(a *batchapi.Account) { a.Locked = fault.KeyUnavailable.New("") }, r: signed(date()), status: 403, code: "CustomerManagedKeyUnavailable"},
		{name: "locked, to who may not know", edit: func(a *batchapi.Account) { a.Locked = fault.KeyUnavailable.New("") }, r: request("GET", target, ""), status: 401, code: "AuthenticationFailed"},
	} {
		var edits []func(*batchapi.Account)
		if c.edit != nil {
			edits = append(edits, c.edit)
		}
		w, code := ask(t, door(t, edits...), c.r)
		if w.Code != c.status || code != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, code, c.status, c.code)
		}
		if w.Header().Get("Request-Id") == "" || w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: headers %v", c.name, w.Header())
		}
	}
}

// signedAs signs whatever the request is.
func signedAs(r *http.Request) *http.Request {
	now := date()
	r.Header.Set("ocp-date", now)
	length := ""
	if r.ContentLength > 0 {
		length = fmt.Sprint(r.ContentLength)
	}
	query := r.URL.Query()
	text := r.Method + "\n\n\n" + length + "\n\n" + r.Header.Get("Content-Type") + "\n\n\n" + r.Header.Get("If-Match") + "\n" + r.Header.Get("If-None-Match") +
		"\n\n\nocp-date:" + now + "\n/mybatch" + r.URL.EscapedPath()
	for _, name := range []string{"$filter", "$select", "$skiptoken", "api-version", "maxresults", "timeout"} {
		if query.Has(name) {
			text += "\n" + name + ":" + query.Get(name)
		}
	}
	sign(r, text)
	return r
}

func call(method, path, body string) *http.Request {
	if !strings.Contains(path, "api-version") {
		path += "?api-version=2024-07-01.20.0"
	}
	return signedAs(request(method, path, body))
}
