package tokenapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"latchkey/resource"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// What differs from run to run, and what stands for it.
var masks = []struct {
	found *regexp.Regexp
	mask  string
}{
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "TOKEN"},
	{regexp.MustCompile(`"(n|kid)":"[\w-]+"`), `"$1":"…"`},
	{regexp.MustCompile(`"kid": "[\w-]+"`), `"kid": "…"`},
	{regexp.MustCompile(`"n": "[\w-]+"`), `"n": "…"`},
	{regexp.MustCompile(`[0-9a-f]{64}`), "GRANT"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`"(expires_on|not_before)": "\d{10}"`), `"$1": "EPOCH"`},
	{regexp.MustCompile(`("expires_in"|"ext_expires_in"): ("?)(35|863)\d\d("?)`), `$1: $2${3}99$4`},
}

var anyGUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// TestTranscripts holds requests and answers as they travel. In testdata/NAME.txtar each
// NAME.request has its NAME.answer; capital words stand for what a run makes up.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			cloud := resource.Azure()
			if strings.Contains(file, "own-cloud") {
				cloud = resource.Own("cloud.example:8443")
			}
			w := setup(t, cloud)
			w.addIdentity(t)
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(archive.Files); i++ {
				name, ok := strings.CutSuffix(archive.Files[i].Name, ".request")
				if !ok {
					continue
				}
				got := w.play(t, archive.Files[i].Data)
				answer := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name+".answer" })
				if *update {
					if answer < 0 {
						answer = i + 1
						archive.Files = slices.Insert(archive.Files, answer, txtar.File{Name: name + ".answer"})
					}
					archive.Files[answer].Data = got
					continue
				}
				if answer < 0 {
					t.Errorf("%s has no answer", name)
				} else if want := archive.Files[answer].Data; !bytes.Equal(got, want) {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// words are the words that stand for what the world made up.
func (w *world) words(t *testing.T) *strings.Replacer {
	b := w.Bootstrap()
	g, err := w.GrantIdentity(t.Context(), "id1")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"$TENANT", b.TenantID, "$CLIENT", b.ClientID, "$SECRET", b.Secret, "$GRANT", g.Secret,
		"$IDENTITY", g.Identity.ClientID, "$PRINCIPAL", g.Identity.PrincipalID, "$SUBSCRIPTION", b.SubscriptionID,
	)
}

func (w *world) play(t *testing.T, request []byte) []byte {
	t.Helper()
	text := w.words(t).Replace(strings.TrimSuffix(string(request), "\n"))
	head, body, _ := strings.Cut(text, "\n\n")
	// A transcript leaves out Host and Content-Length, which every request has.
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\nHost: x\r\n\r\n")))
	if err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	base := w.login.URL
	if p := strings.TrimLeft(req.URL.Path, "/"); strings.HasPrefix(p, "identity/") || strings.HasPrefix(p, "local/") {
		base = w.local.URL
	}
	out, err := http.NewRequestWithContext(t.Context(), req.Method, base+req.RequestURI, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = req.Header
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	got.WriteString(resp.Status + "\n")
	for _, name := range []string{"Cache-Control", "Content-Type"} {
		got.WriteString(name + ": " + resp.Header.Get(name) + "\n")
	}
	got.WriteString("\n")
	if err := json.Indent(&got, b, "", "  "); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return append(w.mask(t, got.Bytes()), '\n')
}

func (w *world) mask(t *testing.T, b []byte) []byte {
	boot := w.Bootstrap()
	g, err := w.GrantIdentity(t.Context(), "id1")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		boot.TenantID, "TENANT", boot.ClientID, "CLIENT", boot.Secret, "SECRET", g.Secret, "GRANT",
		g.Identity.ClientID, "IDENTITY", w.local.URL, "http://LOCAL",
	).Replace(string(b))
	for _, m := range masks {
		text = m.found.ReplaceAllString(text, m.mask)
	}
	return []byte(anyGUID.ReplaceAllString(text, "GUID"))
}
