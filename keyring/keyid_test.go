package keyring_test

import (
	"bytes"
	"strings"
	"testing"

	"latchkey/keyring"
	"latchkey/resource"
)

func parser(cloud resource.Cloud, more ...string) *keyring.Ring {
	return keyring.New(keyring.Config{Platform: bytes.Repeat([]byte{1}, 32), Cloud: cloud, Vaults: more})
}

func TestKeyIdentifiers(t *testing.T) {
	t.Parallel()
	const version = "0123456789abcdef0123456789abcdef"
	const arm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/V1/keys/K-1"
	azure, own := parser(resource.Azure()), parser(resource.Own("localhost:8443"), "keys.example.org")
	for _, test := range []struct {
		ring *keyring.Ring
		in   string
		want string // empty: refused
		says string
	}{
		{azure, "https://v1.vault.azure.net/keys/k1", "https://v1.vault.azure.net/keys/k1", ""},
		{azure, "https://V1.Vault.Azure.Net/keys/k1/", "https://v1.vault.azure.net/keys/k1", ""},
		{azure, "https://v1.vault.azure.net/keys/k1/" + version, "https://v1.vault.azure.net/keys/k1/" + version, ""},
		{azure, "https://v1.vault.azure.net:8443/keys/k1", "https://v1.vault.azure.net:8443/keys/k1", ""},
		{azure, "https://h1.managedhsm.azure.net/keys/k1", "https://h1.managedhsm.azure.net/keys/k1", ""},
		{azure, arm, "https://v1.vault.azure.net/keys/K-1", ""},
		{azure, arm + "/versions/" + version, "https://v1.vault.azure.net/keys/K-1/" + version, ""},
		{azure, "file://" + arm, "https://v1.vault.azure.net/keys/K-1", ""},
		{azure, "https://management.azure.com" + arm, "https://v1.vault.azure.net/keys/K-1", ""},
		{own, "https://v1.vault.localhost:8443/keys/k1", "https://v1.vault.localhost:8443/keys/k1", ""},
		{own, "https://v1.vault.azure.net/keys/k1", "https://v1.vault.azure.net/keys/k1", ""},
		{own, "https://v1.keys.example.org/keys/k1", "https://v1.keys.example.org/keys/k1", ""},
		{own, arm, "https://v1.vault.localhost:8443/keys/K-1", ""},

		{azure, "", "", "empty"},
		{azure, "k1", "", "neither a key identifier"},
		{azure, "http://v1.vault.azure.net/keys/k1", "", "must begin with https://"},
		{azure, "https://v1.vault.azure.net/secrets/k1", "", "does not name a key"},
		{azure, "https://v1.vault.azure.net/keys", "", "does not name a key"},
		{azure, "https://v1.vault.azure.net/keys/k1/" + version + "/x", "", "does not name a key"},
		{azure, "https://v1.vault.azure.net/keys//k1", "", "no valid name"},
		{azure, "https://v1.vault.azure.net/keys/k_1", "", "no valid name"},
		{azure, "https://v1.vault.azure.net/keys/" + strings.Repeat("k", 128), "", "no valid name"},
		{azure, "https://v1.vault.azure.net/keys/k1/..", "", "no valid version"},
		{azure, "https://v1.vault.azure.net/keys/k1?x=1", "", "must end with"},
		{azure, "https://me@v1.vault.azure.net/keys/k1", "", "must end with"},
		{azure, "https://vault.azure.net/keys/k1", "", "not in a key vault"},
		{azure, "https://a.b.vault.azure.net/keys/k1", "", "not in a key vault"},
		{azure, "https://127.0.0.1/keys/k1", "", "not in a key vault"},
		{azure, "https://vault.azure.net.example.com/keys/k1", "", "not in a key vault"},
		{azure, "https://v1.keys.example.org/keys/k1", "", "not in a key vault"},
		{azure, "https://v1.vault.azure.net:x/keys/k1", "", "not a URL"},
		{azure, strings.Replace(arm, "/keys/K-1", "", 1), "", "neither a key identifier"},
		{azure, strings.Replace(arm, "/keys/", "/secrets/", 1), "", "neither a key identifier"},
		{azure, strings.Replace(arm, "V1", "v.1", 1), "", "does not name a vault"},
		{azure, "https://v1.vault.azure.net/keys/" + strings.Repeat("k", 5000), "", "not a URL"},
	} {
		id, err := test.ring.ParseKeyID(test.in)
		switch {
		case test.want == "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("ParseKeyID(%q) = %v, %v, want it to say %q", test.in, id, err, test.says)
		case test.want != "" && (err != nil || id.String() != test.want):
			t.Errorf("ParseKeyID(%q) = %v, %v, want %s", test.in, id, err, test.want)
		}
	}
}

func FuzzKeyID(f *testing.F) {
	for _, s := range []string{"https://v1.vault.azure.net/keys/k1/00", "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/keys/k", "file:///x", "https://[::1]:8/keys/k"} {
		f.Add(s)
	}
	ring := parser(resource.Azure())
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ring.ParseKeyID(s)
		if err != nil {
			return
		}
		again, err := ring.ParseKeyID(id.String())
		if err != nil || again != id {
			t.Fatalf("ParseKeyID(%q) = %v, which reads as %v, %v", s, id, again, err)
		}
		if !strings.HasSuffix(id.Host(), ".net") && !strings.HasSuffix(id.Host(), ".cn") {
			t.Fatalf("ParseKeyID(%q) leads to %s", s, id.Host())
		}
	})
}
