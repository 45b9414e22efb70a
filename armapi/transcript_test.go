package armapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"latchkey/identity"
)

var update = flag.Bool("update", false, "write what the door answers into the transcripts")

// A transcript is a story in testdata: requests and responses as they travel, in
// files NAME.request and NAME.response. What differs from run to run stands there as
// a word: SUB, TENANT, the object ids OWNER, READER and NOBODY and their client ids
// OWNERAPP and so on, GUID1, GUID2… and STAMP1, STAMP2… (versions in ETags) in order of
// appearance, and TIME. A request may use the words of earlier responses.
//
// A request is a line "METHOD target", headers, an empty line and a body. Two headers
// are for the runner: As names who calls (owner, reader, nobody or none; the owner if
// it is missing), and Until repeats the request until that status is the answer.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			replay(t, newWorld(t), file)
		})
	}
}

// replay makes the requests of a transcript and holds the answers against it.
func replay(t *testing.T, w *world, file string) {
	t.Helper()
	story, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	words := newWords(w)
	tokens := map[string]string{"owner": w.owner(t), "none": ""}
	for _, c := range []struct{ name, role string }{{"reader", identity.RoleReader}, {"nobody", ""}} {
		m, token := w.caller(t, c.name, c.role, "/subscriptions/"+w.sub)
		tokens[c.name] = token
		words.add(strings.ToUpper(c.name), m.PrincipalID)
		words.add(strings.ToUpper(c.name)+"APP", m.ClientID)
	}
	rewritten := &txtar.Archive{Comment: story.Comment}
	wanted := map[string]string{}
	for _, f := range story.Files {
		if name, ok := strings.CutSuffix(f.Name, ".response"); ok {
			wanted[name] = string(f.Data)
		}
	}
	for _, f := range story.Files {
		name, ok := strings.CutSuffix(f.Name, ".request")
		if !ok {
			continue
		}
		got := words.hide(exchange(t, w, tokens, words.show(string(f.Data))))
		rewritten.Files = append(rewritten.Files, f, txtar.File{Name: name + ".response", Data: []byte(got)})
		if want := wanted[name]; got != want && !*update {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(rewritten), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exchange makes one request and writes the answer down.
func exchange(t *testing.T, w *world, tokens map[string]string, request string) string {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	header := http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	who, until := "owner", header.Get("Until")
	if as := header.Get("As"); as != "" {
		who = as
	}
	header.Del("As")
	header.Del("Until")
	token, ok := tokens[who]
	if !ok {
		t.Fatalf("nobody is called %s", who)
	}
	if token != "" && header.Get("Authorization") == "" {
		header.Set("Authorization", "Bearer "+token)
	}
	body = strings.TrimSpace(body)
	if body != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		// The target goes out as it is written: double slashes and all.
		r, err := http.NewRequestWithContext(t.Context(), method, w.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = "//" + r.URL.Host + strings.ReplaceAll(strings.TrimPrefix(target, "https://management.azure.com"), " ", "%20")
		r.Header = header.Clone()
		resp, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if until == "" || fmt.Sprint(resp.StatusCode) == until || time.Now().After(deadline) {
			return written(resp, answer)
		}
	}
}

// written is how an answer stands in a transcript. Headers that say nothing are left
// out.
func written(resp *http.Response, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", resp.Status)
	var lines []string
	for name, values := range resp.Header {
		switch name {
		case "Date", "Content-Length", "Cache-Control", "X-Content-Type-Options",
			"X-Ms-Request-Id", "X-Ms-Correlation-Request-Id", "X-Ms-Routing-Request-Id":
			continue
		}
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	if len(body) > 0 {
		var indented bytes.Buffer
		if json.Indent(&indented, body, "", "  ") == nil {
			body = indented.Bytes()
		}
		fmt.Fprintf(&b, "\n%s\n", body)
	}
	return b.String()
}

// words are the names under which values of this run stand in a transcript.
type words struct {
	byValue map[string]string
	byWord  map[string]string
	guids   int
	stamps  int
}

func newWords(w *world) *words {
	b := w.directory.Bootstrap()
	v := &words{byValue: map[string]string{}, byWord: map[string]string{}}
	v.add("SUB", b.SubscriptionID)
	v.add("TENANT", b.TenantID)
	v.add("OWNER", b.ObjectID)
	v.add("OWNERAPP", b.ClientID)
	return v
}

func (v *words) add(word, value string) { v.byValue[value], v.byWord[word] = word, value }

var (
	guid = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	bare = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	when = regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	// stamp is a version or a time in hexadecimal, as ETags and polls have it.
	stamp = regexp.MustCompile(`\b(0x)?[0-9A-F]{16}\b`)
	word  = regexp.MustCompile(`\b(SUB|TENANT|(?:OWNER|READER|NOBODY)(?:APP)?|GUID\d+|STAMP\d+)\b`)
	// fixed are ids that are the same in every run: those of built-in roles.
	fixed = func() map[string]bool {
		out := map[string]bool{}
		for _, r := range identity.RoleDefinitions() {
			out[r.ID] = true
		}
		return out
	}()
)

// hide puts words in place of values.
func (v *words) hide(s string) string {
	s = guid.ReplaceAllStringFunc(s, func(id string) string {
		// An id that the transcript itself writes begins with zeros.
		if fixed[id] || strings.HasPrefix(id, "00000000-") {
			return id
		}
		if v.byValue[id] == "" {
			v.guids++
			v.add(fmt.Sprint("GUID", v.guids), id)
		}
		return v.byValue[id]
	})
	s = stamp.ReplaceAllStringFunc(s, func(at string) string {
		if v.byValue[at] == "" {
			v.stamps++
			name := fmt.Sprint("STAMP", v.stamps)
			v.byValue[at], v.byWord[name] = name, at
		}
		return v.byValue[at]
	})
	s = bare.ReplaceAllString(s, "HEX")
	return when.ReplaceAllString(s, "TIME")
}

// show puts values in place of words.
func (v *words) show(s string) string {
	return word.ReplaceAllStringFunc(s, func(w string) string {
		if value, ok := v.byWord[w]; ok {
			return value
		}
		return w
	})
}
