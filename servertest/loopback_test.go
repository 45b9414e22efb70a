package servertest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"latchkey/servertest"
)

// Who comes to the listeners without a name of the cloud, such as a supervisor, hears
// whether the service is well without showing a token.
func TestHealthNeedsNoNameAndNoToken(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, t.TempDir())
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(c.CloseIdleConnections)
	for _, at := range []string{"https://" + s.Listen, "http://" + s.Portal} {
		for _, path := range []string{"/healthz", "/readyz"} {
			resp, err := c.Get(at + path)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || strings.TrimSpace(string(body)) != "ok" {
				t.Errorf("GET %s%s = %d %q, want 200 ok", at, path, resp.StatusCode, body)
			}
		}
	}
}
