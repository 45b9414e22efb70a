package servertest_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/resource"
)

// An answer is one of the service's.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// read takes a value out of the body.
func (a answer) read(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("reading %q: %v", a.body, err)
	}
}

// A conformer calls one service at one api-version and compares every answer with the
// documents. It remembers what it has called.
type conformer struct {
	*world
	t    testing.TB
	api  *api
	base string
	// values are given to every operation whose path has a place for them.
	values map[string]string
	// header is sent always; echoed names the headers that come back as they were sent.
	header http.Header
	always []string
	// allowed says where answers may differ from the documents.
	allowed allowance
	// done counts the operations that answered well.
	done map[string]int
}

// values makes the map of an operation's parameters from pairs.
func values(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// has reports whether the api-version has an operation.
func (c *conformer) has(op string) bool { _, ok := c.api.operations[op]; return ok }

// ok makes a call that is answered with a status, which the document must declare.
func (c *conformer) ok(op string, status int, in any, pairs ...string) answer {
	c.t.Helper()
	a := c.call(op, in, values(pairs...), nil)
	if a.status != status {
		c.t.Errorf("%s %s %v = %d %s, want %d", c.api.version, op, pairs, a.status, a.body, status)
	} else {
		c.done[op]++
	}
	return a
}

// refused makes a call that is answered with a failure.
func (c *conformer) refused(op string, status int, code string, in any, pairs ...string) {
	c.t.Helper()
	a := c.call(op, in, values(pairs...), nil)
	if got := codeOf(a); a.status != status || got != code && c.api.operations[op].method != http.MethodHead {
		c.t.Errorf("%s %s %v = %d %s %s, want %d %s", c.api.version, op, pairs, a.status, got, a.body, status, code)
	}
}

// long makes a call that goes on as an operation, follows it, and compares its end
// with the document's 200.
func (c *conformer) long(op string, in any, pairs ...string) answer {
	c.t.Helper()
	a := c.call(op, in, values(pairs...), nil)
	if a.status != http.StatusAccepted {
		c.t.Errorf("%s %s %v = %d %s, want 202", c.api.version, op, pairs, a.status, a.body)
		return a
	}
	for deadline := time.Now().Add(time.Minute); a.status == http.StatusAccepted; {
		where := a.header.Get("Location")
		if where == "" || a.header.Get("Retry-After") == "" {
			c.t.Fatalf("%s: 202 without Location or Retry-After: %v", op, a.header)
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: no end after a minute", op)
		}
		time.Sleep(100 * time.Millisecond)
		a = c.send(http.MethodGet, where, nil, nil)
	}
	if a.status > 299 {
		c.t.Errorf("%s ended with %d %s", op, a.status, a.body)
		return a
	}
	if o := c.api.operations[op]; a.status == http.StatusOK && len(a.body) > 0 {
		c.complain(op, pairs, o.check(a, c.allowed))
	}
	c.done[op]++
	return a
}

// call makes one call and compares whatever is answered.
func (c *conformer) call(op string, in any, given map[string]string, header http.Header) answer {
	c.t.Helper()
	o, ok := c.api.operations[op]
	if !ok {
		c.t.Fatalf("%s has no operation %s", c.api.version, op)
	}
	all := maps.Clone(c.values)
	maps.Copy(all, given)
	address, err := c.api.address(o, c.base, all)
	if err != nil {
		c.t.Fatal(err)
	}
	header = header.Clone()
	for name, v := range given {
		if o.takes(name, "header") {
			if header == nil {
				header = http.Header{}
			}
			header.Set(name, v)
		}
	}
	a := c.send(o.method, address, in, header)
	c.complain(op, given, o.check(a, c.allowed))
	if a.status < 300 && a.status != http.StatusNotModified {
		// A request that was taken shows that this test asks rightly.
		c.complain(op+" (request)", given, o.checkSent(in))
	}
	return a
}

func (c *conformer) send(method, address string, in any, header http.Header) answer {
	c.t.Helper()
	h := c.header.Clone()
	maps.Copy(h, header)
	resp, err := c.Do(context.Background(), method, address, in, h)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range c.always {
		if resp.Header.Get(name) == "" {
			c.t.Errorf("%s %s: %d without the header %s", method, address, resp.Status, name)
		}
	}
	return answer{resp.Status, resp.Header, resp.Body}
}

func (c *conformer) complain(op string, given any, problems []string) {
	c.t.Helper()
	for _, p := range problems {
		c.t.Errorf("%s %s %v: %s", c.api.version, op, given, p)
	}
}

// rest shows that nothing else is there: every operation that was not called and
// answered well must be in the list of those that this service does not have, and is
// refused in the protocol's shape.
func (c *conformer) rest(unbuilt map[string]string) {
	c.t.Helper()
	for _, op := range c.api.names() {
		code, listed := unbuilt[op]
		switch {
		case c.done[op] > 0 && listed:
			c.t.Errorf("%s %s is answered and stands in the list of what is not there", c.api.version, op)
		case c.done[op] > 0:
		case !listed:
			c.t.Errorf("%s %s was never answered well", c.api.version, op)
		default:
			given := map[string]string{}
			for _, p := range c.api.operations[op].parameters {
				if p.text("in") == "path" && c.values[p.text("name")] == "" {
					given[p.text("name")] = "x1"
				}
			}
			var in any
			if c.api.operations[op].method != http.MethodGet && c.api.operations[op].method != http.MethodHead && c.api.operations[op].method != http.MethodDelete {
				in = object{}
			}
			if a := c.call(op, in, given, nil); a.status < 400 || a.status >= 500 || codeOf(a) != code && c.api.operations[op].method != http.MethodHead {
				c.t.Errorf("%s %s is not there and is answered with %d %s, want %s", c.api.version, op, a.status, a.body, code)
			}
		}
	}
	for op := range unbuilt {
		if !c.has(op) {
			delete(unbuilt, op)
		}
	}
	total := 0
	for _, n := range c.done {
		total += n
	}
	c.t.Logf("%s: %d of %d operations answered well, %d times, and %d are not there", c.api.version, len(c.done), len(c.api.operations), total, len(unbuilt))
}

// checkSent compares a request's body with the document.
func (op apiOperation) checkSent(in any) []string {
	if in == nil {
		return nil
	}
	if _, raw := in.([]byte); raw {
		return nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return []string{err.Error()}
	}
	v, err := decodeExactly(b)
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range op.parameters {
		if p.text("in") == "body" {
			c := checker{sent: true}
			c.check(p.get("schema"), v, "body")
			return c.problems
		}
	}
	return []string{"the operation takes no body"}
}

// codeOf reads the code of a failure at any door.
func codeOf(a answer) string {
	var said struct {
		Code  string
		Error struct{ Code string }
	}
	if json.Unmarshal(a.body, &said) != nil {
		return ""
	}
	return said.Code + said.Error.Code
}

// need fails the test if headers are missing.
func (c *conformer) need(a answer, names ...string) {
	c.t.Helper()
	for _, name := range names {
		if a.header.Get(name) == "" {
			c.t.Errorf("no header %s in %v", name, slices.Sorted(maps.Keys(a.header)))
		}
	}
}

// anyOf is an allowance of the paths that end so.
func anyOf(ends ...string) allowance {
	return func(path string) bool {
		return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(path, end) })
	}
}

// armHeader is what clients of Resource Manager and vaults send along.
func armHeader() http.Header {
	return http.Header{"X-Ms-Client-Request-Id": {resource.NewGUID()}, "X-Ms-Return-Client-Request-Id": {"true"}}
}

// conforming runs a test for each of several api-versions of a service.
func conforming(t *testing.T, versions map[string][]string, f func(*testing.T, *api)) {
	t.Helper()
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f(t, readAPI(t, version, versions[version]...))
		})
	}
}

// within is the world's account in the parameters of an operation.
func (w *world) within() map[string]string {
	id, err := resource.ParseID(w.account)
	if err != nil {
		w.t.Fatal(err)
	}
	return values("subscriptionId", w.SubscriptionID, "resourceGroupName", id.Group, "accountName", id.Name(), "locationName", "westus2", "location", "westus2")
}

// until asks again until an answer is as it should be.
func until(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ask(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute still not so: %s", what)
		}
	}
}
