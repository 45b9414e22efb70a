package servertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/servertest"
)

// hostileSeed makes the choice of shots; a failure can be had again with it.
const hostileSeed = 7731

// Whatever comes in, every door answers in Azure's shape and never with a failure of
// its own; nothing of it is written to the log; a bystander notices nothing.
//
// This test does not run beside others: it counts goroutines and open files.
func TestHostileInputGetsAnAnswerAndDoesNoHarm(t *testing.T) {
	service := servertest.Start(t, t.TempDir())
	bystander := settle(t, service)
	bystander.useKey(bystander.makeVault())
	bystander.makePool("p1", 1, 1)
	bystander.makeJob("j1", "p1")
	bystander.addTasks("j1", "t", "/bin/sh -c 'echo done'", 0, 2)
	bystander.eventually("tasks complete", func() bool { return bystander.counts("j1").Completed == 2 })
	victim := settle(t, service)
	targets := victim.targets()
	targets = append(targets, victim.remaining(targets)...)
	before := bystander.picture()

	g := &generator{rng: rand.New(rand.NewPCG(hostileSeed, 0))}
	for _, target := range targets {
		g.all(target)
	}
	t.Logf("seed %d: %d requests from %d targets", hostileSeed, len(g.out), len(targets))
	victim.CloseIdle()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	began := time.Now()
	tally := victim.fire(g.out)
	t.Logf("%v in %v", tally, time.Since(began).Round(time.Millisecond))

	if after := bystander.picture(); after != before {
		t.Errorf("the bystander is not as it was: got\n%s\nwant\n%s", after, before)
	}
	bystander.addTasks("j1", "u", "/bin/sh -c 'echo done'", 0, 2)
	bystander.eventually("new tasks complete", func() bool { return bystander.counts("j1").Succeeded == 4 })
	bystander.useKey(bystander.makeKey("k2"))
	victim.CloseIdle()
	victim.eventually("no goroutine or file is left behind", func() bool {
		return runtime.NumGoroutine() <= goroutines+20 && openFiles(t) <= files+20
	})
	log, err := os.ReadFile(service.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes() {
		if !bytes.Contains(log, []byte(`route="`+route.pattern+`"`)) {
			t.Errorf("nothing reached %s of %s", route.pattern, route.door)
		}
	}
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte("level=ERROR")) {
			t.Errorf("in the log: %.600s", line)
		}
		if bytes.Contains(bytes.ToLower(line), []byte(marker)) {
			t.Errorf("hostile input in the log: %.300s", line)
			break
		}
	}
}

func openFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// CloseIdle lets go of the client's connections, so that they are not counted.
func (w *world) CloseIdle() { w.Client.Close() }

// fire shoots at the service from several sides and checks each answer.
func (w *world) fire(shots []shot) map[int]int {
	w.t.Helper()
	const guns = 6
	pool := roots(w.t, w.CAFile)
	tally := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := 0
	// Shots at one thing from two sides make answers a matter of luck, so each gun has
	// targets of its own.
	for n := range guns {
		wg.Go(func() {
			byHost := map[string]*gun{}
			defer func() {
				for _, g := range byHost {
					g.close()
				}
			}()
			for i, s := range shots {
				if i%guns != n {
					continue
				}
				g := byHost[s.host]
				if g == nil {
					g = &gun{addr: w.Listen, host: s.host, roots: pool}
					if s.plain != "" {
						g = &gun{addr: s.plain, host: s.host}
					}
					byHost[s.host] = g
				}
				resp, body, err := g.shoot(s)
				status, wrong := 0, ""
				switch {
				case err != nil && !s.broken:
					wrong = fmt.Sprintf("no answer: %v", err)
				case err == nil:
					status, wrong = resp.StatusCode, misshapen(s, resp, body)
				}
				mu.Lock()
				tally[status/100*100]++
				if wrong != "" {
					if failed++; failed <= 40 {
						w.t.Errorf("%s %s %s, %s\n\t%.400q", s.door, s.method, s.path, s.what+": "+wrong, s.raw)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if failed > 40 {
		w.t.Errorf("and %d more", failed-40)
	}
	return tally
}

// misshapen says what is wrong with an answer, or "".
func misshapen(s shot, resp *http.Response, body []byte) string {
	kind := resp.Header.Get("Content-Type")
	if resp.Header.Get("X-Injected") != "" {
		return "a header was injected"
	}
	if s.broken && strings.HasPrefix(kind, "text/plain") && resp.Close {
		return "" // the server below the doors refused what is not HTTP
	}
	if resp.StatusCode >= 500 {
		return fmt.Sprintf("%d %.300s", resp.StatusCode, body)
	}
	if bytes.Contains(body, []byte("root:x:0:")) {
		return "a file of the machine came out"
	}
	if s.door == "portal" || s.plain != "" && resp.StatusCode == http.StatusNotFound && strings.HasPrefix(kind, "text/plain") {
		return "" // pages, for people
	}
	if resp.StatusCode < 400 || resp.Request != nil && resp.Request.Method == http.MethodHead {
		return ""
	}
	var said struct {
		Error            json.RawMessage
		ErrorDescription string `json:"error_description"`
		Code             string
		Message          json.RawMessage
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Sprintf("%d of type %q is not JSON: %.300q", resp.StatusCode, kind, body)
	}
	if !strings.HasPrefix(kind, "application/json") {
		return fmt.Sprintf("%d is of type %q", resp.StatusCode, kind)
	}
	var code, message string
	switch s.door {
	case "login":
		_ = json.Unmarshal(said.Error, &code)
		message = said.ErrorDescription
	case "batch":
		var m struct{ Value string }
		_ = json.Unmarshal(said.Message, &m)
		code, message = said.Code, m.Value
	default:
		var e struct{ Code, Message string }
		_ = json.Unmarshal(said.Error, &e)
		code, message = e.Code, e.Message
	}
	if code == "" || message == "" {
		return fmt.Sprintf("%d without code or message: %.300s", resp.StatusCode, body)
	}
	if code == "InternalError" || code == "InternalServerError" {
		return fmt.Sprintf("%d %s", resp.StatusCode, body)
	}
	for _, name := range []string{"X-Ms-Request-Id", "Request-Id"} {
		if resp.Header.Get(name) != "" {
			return ""
		}
	}
	return fmt.Sprintf("%d without a request id", resp.StatusCode)
}

// picture is what a client sees of an account and its vault, without what time changes.
func (w *world) picture() string {
	w.t.Helper()
	var b strings.Builder
	for _, url := range []string{
		management + w.account + "?" + batchVersion, management + w.vault + "?" + vaultsVersion,
		w.keys + "/keys?" + keysVersion, w.keys + "/keys/k1/versions?" + keysVersion,
		w.data + "/pools?" + dataVersion, w.data + "/jobs?" + dataVersion, w.data + "/jobs/j1/tasks?" + dataVersion,
		management + w.account + "/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=atScope()",
	} {
		resp, err := w.Do(context.Background(), http.MethodGet, url, nil, nil)
		if err != nil || resp.Status != http.StatusOK {
			w.t.Fatalf("GET %s = %v, %v", url, resp, err)
		}
		var v map[string]any
		if err := resp.Decode(&v); err != nil {
			w.t.Fatal(err)
		}
		if p, ok := v["properties"].(map[string]any); ok {
			if k, ok := p["keyStatus"].(map[string]any); ok {
				delete(k, "lastChecked")
			}
		}
		line, _ := json.Marshal(v)
		fmt.Fprintf(&b, "%s\n", line)
	}
	return b.String()
}

// bearer returns a token for a host.
func (w *world) bearer(audience string) string {
	w.t.Helper()
	token, err := w.Token(context.Background(), audience)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}
