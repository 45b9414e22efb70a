package front_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/front"
)

// TestForeignClientsAreServed runs the clients of other languages through the proxy
// with nothing but the environment, as latchkey exec does.
func TestForeignClientsAreServed(t *testing.T) {
	t.Parallel()
	const target = "https://v1.vault.azure.net/keys/k"
	const want = "vault GET /keys/k"
	clients := map[string]struct {
		tool string
		args []string
	}{
		"curl": {"curl", []string{"-sS", "--fail", target}},
		"python": {"python3", []string{"-c", `
import ssl, sys, urllib.request
# What Python has by default since 3.13, whatever this one is.
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
sys.stdout.write(opener.open("` + target + `").read().decode())`}},
		"node": {"node", []string{"-e", `
const http = require("http"), https = require("https");
const proxy = new URL(process.env.HTTPS_PROXY);
http.request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: "v1.vault.azure.net:443"})
  .on("connect", (res, socket) =>
    https.get("` + target + `", {socket, agent: false}, r => r.pipe(process.stdout)).on("error", e => { console.error(e); process.exit(1) }))
  .end();`}},
		"java": {"java", []string{"-Xshare:auto", "Ask.java", target}},
	}
	h := setup(t, allDoors())
	dir := t.TempDir()
	trust, err := front.WriteTrust(dir, front.SystemRoots(), h.ca.PEM())
	if err != nil {
		t.Fatal(err)
	}
	store, err := front.WriteTrustStore(trust)
	if err != nil {
		t.Fatal(err)
	}
	java := `
class Ask {
  public static void main(String[] args) throws Exception {
    var in = new java.net.URL(args[0]).openStream();
    System.out.print(new String(in.readAllBytes()));
  }
}`
	if err := os.WriteFile(filepath.Join(dir, "Ask.java"), []byte(java), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port := "127.0.0.1", portOf(h.ProxyAddr())
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(client.tool)
			if err != nil {
				t.Skipf("no %s here", client.tool)
			}
			cmd := exec.Command(path, client.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(),
				"HTTPS_PROXY=http://"+h.ProxyAddr(), "https_proxy=http://"+h.ProxyAddr(), "NO_PROXY=", "no_proxy=",
				"SSL_CERT_FILE="+trust, "REQUESTS_CA_BUNDLE="+trust, "CURL_CA_BUNDLE="+trust, "NODE_EXTRA_CA_CERTS="+trust,
				"JAVA_TOOL_OPTIONS=-Dhttps.proxyHost="+host+" -Dhttps.proxyPort="+port+" -Djavax.net.ssl.trustStore="+store+
					" -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword="+front.TrustStorePassword)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || string(out) != want {
				t.Errorf("%s = %q, %v, want %q\n%s", name, out, err, want, stderr.String())
			}
		})
	}
}
