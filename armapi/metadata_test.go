package armapi_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"latchkey/resource"
)

// mustGet decodes the answer to a GET.
func (w *world) mustGet(t *testing.T, token, target string, v any) {
	t.Helper()
	resp, body := w.call(t, token, "GET", target, "", "")
	if resp.StatusCode != 200 {
		t.Fatalf("GET %s: %s %s", target, resp.Status, body)
	}
	if err := json.Unmarshal(body, v); err != nil {
		t.Fatalf("GET %s: %v in %s", target, err, body)
	}
}

func TestMetadataOfAnOwnCloudHasItsNamesAndPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, resource.Own("example.test:8443"))
	var doc struct {
		Name, ResourceManager, MicrosoftGraphResourceID, Batch string
		Authentication                                         struct {
			LoginEndpoint, Tenant, IdentityProvider string
			Audiences                               []string
		}
		Suffixes struct{ KeyVaultDNS, Storage string }
	}
	w.mustGet(t, "", "/metadata/endpoints?api-version=2022-09-01", &doc)
	for what, pair := range map[string][2]string{
		"name":             {doc.Name, "Latchkey"},
		"resourceManager":  {doc.ResourceManager, "https://management.example.test:8443/"},
		"graph":            {doc.MicrosoftGraphResourceID, "https://graph.example.test:8443/"},
		"batch":            {doc.Batch, "https://batch.example.test:8443/"},
		"loginEndpoint":    {doc.Authentication.LoginEndpoint, "https://login.example.test:8443"},
		"tenant":           {doc.Authentication.Tenant, "common"},
		"identityProvider": {doc.Authentication.IdentityProvider, "AAD"},
		"audience":         {strings.Join(doc.Authentication.Audiences, " "), "https://management.example.test:8443/"},
		"keyVaultDns":      {doc.Suffixes.KeyVaultDNS, "vault.example.test:8443"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s = %q, want %q", what, pair[0], pair[1])
		}
	}
	if doc.Suffixes.Storage == "" {
		t.Error("suffixes.storage is missing: Terraform stops")
	}
	// Old generations of az reach an authority of one's own only in this form.
	for _, version := range []string{"2015-01-01", "2019-05-01"} {
		_, body := w.call(t, "", "GET", "/metadata/endpoints?api-version="+version, "", "")
		if !strings.Contains(string(body), `"loginEndpoint":"https://login.example.test:8443/adfs"`) {
			t.Errorf("%s: %s, want an authority that ends in /adfs", version, body)
		}
	}
}

func TestMetadataOf2018ListsTheLocations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var doc struct {
		CloudEndpoint map[string]struct {
			Endpoint  string
			Locations []string
		}
	}
	w.mustGet(t, "", "/metadata/endpoints?api-version=2018-01-01", &doc)
	if public := doc.CloudEndpoint["public"]; public.Endpoint != "management.azure.com" || !strings.Contains(strings.Join(public.Locations, ","), "westus2") {
		t.Errorf("cloudEndpoint = %+v", doc.CloudEndpoint)
	}
}

func TestLocationsHaveWhatClientsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var doc struct {
		Value []struct {
			ID, Name, Type, DisplayName, RegionalDisplayName string
			Metadata                                         struct {
				RegionType, Geography, PhysicalLocation string
				PairedRegion                            []struct{ Name, ID string }
			}
		}
	}
	w.mustGet(t, w.owner(t), "/subscriptions/"+w.sub+"/locations?api-version=2022-12-01", &doc)
	for _, l := range doc.Value {
		if l.Name != "westus2" {
			continue
		}
		if l.DisplayName != "West US 2" || l.RegionalDisplayName != "(US) West US 2" || l.ID != "/subscriptions/"+w.sub+"/locations/westus2" ||
			l.Metadata.RegionType != "Physical" || len(l.Metadata.PairedRegion) != 1 || l.Metadata.PairedRegion[0].Name != "westcentralus" {
			t.Errorf("westus2 = %+v", l)
		}
		return
	}
	t.Errorf("westus2 is not among %d locations", len(doc.Value))
}

func TestTokenOfAnEarlierLifeIsChallengedForAnother(t *testing.T) {
	t.Parallel()
	// Two services that were set up apart do not know each other's keys.
	stale := newWorld(t).owner(t)
	w := newWorld(t)
	resp, body := w.call(t, stale, "GET", "/subscriptions?api-version=2022-12-01", "", "")
	challenge := resp.Header.Get("WWW-Authenticate")
	m := regexp.MustCompile(`^Bearer realm="", authorization_uri="https://login\.microsoftonline\.com/[^"]+/oauth2/authorize", error="insufficient_claims", claims="([^"]+)"$`).FindStringSubmatch(challenge)
	if resp.StatusCode != 401 || m == nil {
		t.Fatalf("got %s %s with %q, want 401 with a claims challenge", resp.Status, body, challenge)
	}
	claims, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil || !strings.HasPrefix(string(claims), `{"access_token":{"nbf":{"essential":true,"value":"`) {
		t.Errorf("claims = %s, %v", claims, err)
	}
}
