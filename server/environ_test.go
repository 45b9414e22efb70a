package server_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/front"
	"latchkey/resource"
	"latchkey/server"
)

// setup makes the data directory of a service that ran once, and returns what it
// would say of itself.
func setup(t *testing.T, cloud string) server.Info {
	t.Helper()
	d := mustOpen(t, filepath.Join(t.TempDir(), "with space"))
	t.Cleanup(func() { d.Close() })
	creds := server.Credentials{TenantID: resource.NewGUID(), SubscriptionID: resource.NewGUID(), ClientID: resource.NewGUID(), ClientSecret: "a-secret-of-a-test"}
	if err := d.KeepCredentials(creds); err != nil {
		t.Fatal(err)
	}
	if _, err := front.OpenAuthority(d.Root(), resource.Azure(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return server.Info{Data: string(d.Layout), Cloud: cloud, Proxy: "127.0.0.1:8442", CAFile: d.CAFile(), SubscriptionID: "sub"}
}

// environment applies the changes to an environment and returns the result.
func environment(t *testing.T, info server.Info, id *server.Identity, before map[string]string) map[string]string {
	t.Helper()
	changes, err := info.Environment(id, func(name string) (string, bool) { v, ok := before[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]string{}
	for name, value := range before {
		after[name] = value
	}
	for _, v := range changes {
		if v.Unset {
			delete(after, v.Name)
		} else {
			after[v.Name] = v.Value
		}
	}
	return after
}

func TestNoProxyKeepsWhatDoesNotBypassUs(t *testing.T) {
	t.Parallel()
	const loopback = "127.0.0.1,::1,localhost"
	for _, test := range []struct{ cloud, before, want string }{
		{"azure", "", loopback},
		{"azure", "*", loopback},
		{"azure", "intern.example, .corp ,10.0.0.0/8", "intern.example,.corp,10.0.0.0/8," + loopback},
		{"azure", "azure.com", loopback},
		{"azure", ".azure.com,x.example", "x.example," + loopback},
		{"azure", "*.azure.com", loopback},
		{"azure", "management.azure.com:443", loopback},
		{"azure", "zure.com", loopback}, // requests takes it as the end of a name at any letter
		{"azure", "v1.vault.azure.net", loopback},
		{"azure", "V1.VAULT.azure.net.", loopback},
		{"azure", "com", loopback},
		{"azure", ".net net", loopback},
		{"azure", "blob.core.windows.net", "blob.core.windows.net," + loopback},
		{"azure", "localhost,127.0.0.1", "localhost,127.0.0.1,::1"},
		{"cloud.localhost", "localhost,127.0.0.1", "127.0.0.1,::1"},
		{"cloud.example", "azure.com,cloud.example", "azure.com," + loopback},
	} {
		after := environment(t, setup(t, test.cloud), nil, map[string]string{"NO_PROXY": test.before})
		if after["NO_PROXY"] != test.want || after["no_proxy"] != test.want {
			t.Errorf("in %s, NO_PROXY=%q became %q and %q, want %q", test.cloud, test.before, after["NO_PROXY"], after["no_proxy"], test.want)
		}
	}
	after := environment(t, setup(t, "azure"), nil, map[string]string{"NO_PROXY": "a.example", "no_proxy": "b.example"})
	if want := "a.example,b.example," + loopback; after["NO_PROXY"] != want {
		t.Errorf("NO_PROXY and no_proxy became %q, want %q", after["NO_PROXY"], want)
	}
}

func TestIdentityLeavesNoSecret(t *testing.T) {
	t.Parallel()
	info := setup(t, "azure")
	id := &server.Identity{Endpoint: "http://127.0.0.1:8080/identity/t/token", Header: "h", PodHost: "http://127.0.0.1:8080/identity/t", ClientID: "c", TenantID: "t"}
	after := environment(t, info, id, map[string]string{
		"AZURE_CLIENT_SECRET": "old", "ARM_CLIENT_SECRET": "old", "AZURE_FEDERATED_TOKEN_FILE": "old", "AZURE_CLIENT_CERTIFICATE_PATH": "old", "IMDS_ENDPOINT": "old", "OTHER": "kept",
	})
	for name, want := range map[string]string{
		"IDENTITY_ENDPOINT": id.Endpoint, "IDENTITY_HEADER": "h", "MSI_ENDPOINT": id.Endpoint, "MSI_SECRET": "h",
		"AZURE_POD_IDENTITY_AUTHORITY_HOST": id.PodHost, "AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t",
		"ARM_USE_MSI": "true", "ARM_MSI_ENDPOINT": id.PodHost + "/metadata/identity/oauth2/token", "ARM_CLIENT_ID": "c", "OTHER": "kept",
	} {
		if after[name] != want {
			t.Errorf("%s = %q, want %q", name, after[name], want)
		}
	}
	creds, err := server.Layout(info.Data).Credentials()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range after {
		if value == "old" || strings.Contains(value, creds.ClientSecret) {
			t.Errorf("%s = %q is left in the environment of an identity", name, value)
		}
	}
	if own := after["AZURE_CONFIG_DIR"]; own == environment(t, info, nil, nil)["AZURE_CONFIG_DIR"] {
		t.Errorf("AZURE_CONFIG_DIR = %q is the application's too: each would use the other's login", own)
	}
}

func TestApplicationTakesNobodyElsesIdentity(t *testing.T) {
	t.Parallel()
	info := setup(t, "azure")
	after := environment(t, info, nil, map[string]string{
		"IDENTITY_ENDPOINT": "old", "MSI_ENDPOINT": "old", "ARM_USE_MSI": "old", "ARM_METADATA_HOSTNAME": "old", "AZURE_AUTHORITY_HOST": "old", "ARM_CLOUD_METADATA_URL": "old",
	})
	creds, err := server.Layout(info.Data).Credentials()
	if err != nil {
		t.Fatal(err)
	}
	if after["AZURE_CLIENT_SECRET"] != creds.ClientSecret || after["ARM_CLIENT_SECRET"] != creds.ClientSecret || after["AZURE_CLIENT_ID"] != creds.ClientID || after["ARM_TENANT_ID"] != creds.TenantID {
		t.Error("the application's credentials are not in the environment")
	}
	for name, value := range after {
		if value == "old" {
			t.Errorf("%s is left in the environment", name)
		}
	}
}

func TestJavaOptionsStandAfterTheUsersAndOnce(t *testing.T) {
	t.Parallel()
	info := setup(t, "azure")
	once := environment(t, info, nil, map[string]string{"JAVA_TOOL_OPTIONS": "-Xmx1g"})["JAVA_TOOL_OPTIONS"]
	if !strings.HasPrefix(once, "-Xmx1g -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8442 ") || !strings.Contains(once, `"-Djavax.net.ssl.trustStore=`) {
		t.Errorf("JAVA_TOOL_OPTIONS = %q, want the user's, the proxy, and a quoted trust store", once)
	}
	if twice := environment(t, info, nil, map[string]string{"JAVA_TOOL_OPTIONS": once})["JAVA_TOOL_OPTIONS"]; twice != once {
		t.Errorf("a second time JAVA_TOOL_OPTIONS = %q, want %q", twice, once)
	}
}

func TestMissingRootsAreTheSystems(t *testing.T) {
	t.Parallel()
	info := setup(t, "azure")
	gone := environment(t, info, nil, map[string]string{"SSL_CERT_FILE": "/nowhere/roots.pem"})["SSL_CERT_FILE"]
	b, err := os.ReadFile(gone)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(info.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), string(ours)) {
		t.Error("the trust file lacks our authority")
	}
	if n := strings.Count(string(front.SystemRoots()), "BEGIN CERTIFICATE"); strings.Count(string(b), "BEGIN CERTIFICATE") < n {
		t.Errorf("the trust file has fewer than the system's %d roots", n)
	}
}
