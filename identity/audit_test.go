package identity_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"latchkey/identity"
)

func mustAudit(t *testing.T, dir string, size int64) *identity.Audit {
	t.Helper()
	a, err := identity.OpenAudit(identity.AuditConfig{Dir: dir, MaxSize: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// lines reads every whole line of every file of an audit.
func lines(t *testing.T, dir string) (out []map[string]any, files int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			line := map[string]any{}
			if err := json.Unmarshal(s.Bytes(), &line); err != nil {
				t.Errorf("%s: %q: %v", name, s.Text(), err)
				continue
			}
			out = append(out, line)
		}
	}
	return out, len(names)
}

func TestAuditRecordsLookLikeKeyVaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	a := mustAudit(t, dir, 0)
	if err := a.Record(identity.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), ResourceID: "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v1",
		Operation: "KeyUnwrap", Version: "7.4", Status: 403, Detail: "Forbidden", Duration: 12 * time.Millisecond,
		Caller: identity.Caller{ObjectID: "o1", AppID: "a1", Tenant: "t1", Address: "127.0.0.1", Correlation: "c1"},
		KeyID:  "https://v1.vault.azure.net/keys/k1", RequestURI: "https://v1.vault.azure.net/keys/k1/unwrapkey?api-version=7.4",
		Client: "azkeys", Properties: map[string]string{"algorithm": "RSA-OAEP-256"},
	}); err != nil {
		t.Fatal(err)
	}
	// The line is there at once: nothing waits in a buffer.
	got, _ := lines(t, dir)
	if len(got) != 1 {
		t.Fatalf("got %d lines, want 1", len(got))
	}
	b, _ := json.Marshal(got[0])
	want := `{"callerIpAddress":"127.0.0.1","category":"AuditEvent","correlationId":"c1","durationMs":12,` +
		`"identity":{"claim":{"appid":"a1","http://schemas.microsoft.com/identity/claims/objectidentifier":"o1","oid":"o1","tid":"t1"}},` +
		`"operationName":"KeyUnwrap","operationVersion":"7.4","properties":{"algorithm":"RSA-OAEP-256","clientInfo":"azkeys","httpStatusCode":403,` +
		`"id":"https://v1.vault.azure.net/keys/k1","requestUri":"https://v1.vault.azure.net/keys/k1/unwrapkey?api-version=7.4"},` +
		`"resourceId":"/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v1","resultDescription":"Forbidden","resultSignature":"Forbidden",` +
		`"resultType":"Failed","time":"2026-01-02T03:04:05.0060000Z"}`
	if string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}

func TestAuditFilesArePutAsideWhenFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := mustAudit(t, dir, 2000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				if err := a.Record(identity.Event{Operation: "KeyWrap", Status: 200}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, files := lines(t, dir)
	if len(got) != 100 || files < 5 {
		t.Errorf("got %d lines in %d files, want 100 in 5 or more", len(got), files)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Record(identity.Event{}); err == nil {
		t.Error("recording after Close: got no error")
	}
}

func TestAuditGoesOnBehindALineThatWasCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	if err := os.WriteFile(path, []byte("{\"time\":\"1\"}\n{\"time\":\"2\"}\n{\"ti"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mustAudit(t, dir, 0).Record(identity.Event{Operation: "KeyGet", Status: 200}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if len(all) != 4 || !json.Valid(all[3]) || !json.Valid(all[1]) || json.Valid(all[2]) {
		t.Errorf("got %q", b)
	}
}
