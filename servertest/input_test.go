package servertest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Bad input gets Azure's code in Azure's shape at every door, and never a 5xx.
func TestBadInputGetsAzuresAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.makeVault()
	w.makePool("p1", 1, 1)
	w.makeJob("j1", "p1")
	arm, accounts := management+w.group, "/providers/Microsoft.Batch/batchAccounts/"
	plain := http.Header{"Content-Type": {"text/plain"}}
	long := strings.Repeat("x", 9<<20)
	for _, c := range []struct {
		name, method, url string
		body              any
		header            http.Header
		status            int
		code              string
	}{
		{"arm: unknown group", http.MethodGet, arm + "x?" + groupsVersion, nil, nil, 404, "ResourceGroupNotFound"},
		{"arm: unknown account", http.MethodGet, arm + accounts + "nothere?" + batchVersion, nil, nil, 404, "ResourceNotFound"},
		{"arm: unknown subscription", http.MethodGet, management + "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups?" + groupsVersion, nil, nil, 404, "SubscriptionNotFound"},
		{"arm: unknown type", http.MethodGet, arm + "/providers/Microsoft.Batch/nonsense/a?" + batchVersion, nil, nil, 404, "InvalidResourceType"},
		{"arm: unknown namespace", http.MethodGet, arm + "/providers/Microsoft.Nonsense/things/a?" + batchVersion, nil, nil, 404, "InvalidResourceNamespace"},
		{"arm: no api-version", http.MethodGet, arm, nil, nil, 400, "MissingApiVersionParameter"},
		{"arm: bad api-version", http.MethodGet, arm + "?api-version=yesterday", nil, nil, 400, "InvalidApiVersionParameter"},
		{"arm: bad JSON", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte(`{"location":`), nil, 400, "InvalidRequestContent"},
		{"arm: no body", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte{}, nil, 400, "InvalidRequestContent"},
		{"arm: wrong type", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte(`{"location":7}`), nil, 400, "InvalidRequestContent"},
		{"arm: missing location", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte(`{}`), nil, 400, "LocationRequired"},
		{"arm: unknown location", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte(`{"location":"atlantis"}`), nil, 400, "LocationNotAvailableForResourceType"},
		{"arm: bad account name", http.MethodPut, arm + accounts + "Not_A_Name?" + batchVersion, []byte(`{"location":"westus2"}`), nil, 400, "InvalidAccountName"},
		{"arm: bad vault name", http.MethodPut, arm + "/providers/Microsoft.KeyVault/vaults/1?" + vaultsVersion, []byte(`{"location":"westus2","properties":{"tenantId":"` + w.TenantID + `","sku":{"family":"A","name":"standard"}}}`), nil, 400, "VaultNameNotValid"},
		{"arm: wrong content type", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte(`{"location":"westus2"}`), plain, 415, "UnsupportedMediaType"},
		{"arm: too large", http.MethodPut, arm + accounts + "newone1?" + batchVersion, []byte(`{"location":"` + long + `"}`), nil, 413, "RequestBodyTooLarge"},
		{"arm: wrong method", http.MethodDelete, management + "/subscriptions/" + w.SubscriptionID + "?" + groupsVersion, nil, nil, 405, "MethodNotAllowed"},
		{"arm: no token", http.MethodGet, arm + "?" + groupsVersion, nil, http.Header{"Authorization": {"Bearer x"}}, 401, "InvalidAuthenticationToken"},

		{"vault: unknown key", http.MethodGet, w.keys + "/keys/nothere?" + keysVersion, nil, nil, 404, "KeyNotFound"},
		{"vault: unknown vault", http.MethodGet, "https://nothere123.vault.azure.net/keys/k1?" + keysVersion, nil, nil, 404, "VaultNotFound"},
		{"vault: no api-version", http.MethodGet, w.keys + "/keys/k1", nil, nil, 400, "BadParameter"},
		{"vault: bad api-version", http.MethodGet, w.keys + "/keys/k1?api-version=1", nil, nil, 400, "BadParameter"},
		{"vault: bad JSON", http.MethodPost, w.keys + "/keys/k2/create?" + keysVersion, []byte(`{`), nil, 400, "BadParameter"},
		{"vault: wrong type", http.MethodPost, w.keys + "/keys/k2/create?" + keysVersion, []byte(`{"kty":1}`), nil, 400, "BadParameter"},
		{"vault: missing kty", http.MethodPost, w.keys + "/keys/k2/create?" + keysVersion, []byte(`{}`), nil, 400, "BadParameter"},
		{"vault: bad size", http.MethodPost, w.keys + "/keys/k2/create?" + keysVersion, []byte(`{"kty":"RSA","key_size":1000}`), nil, 400, "BadParameter"},
		{"vault: bad name", http.MethodPost, w.keys + "/keys/no_good/create?" + keysVersion, []byte(`{"kty":"RSA"}`), nil, 400, "BadParameter"},
		{"vault: not permitted", http.MethodPost, w.keys + "/keys/k1/wrapKey?" + keysVersion, []byte(`{"alg":"RSA-OAEP-256","value":"AAAA"}`), nil, 403, "Forbidden"},
		{"vault: bad token", http.MethodGet, w.keys + "/keys/k1?" + keysVersion, nil, http.Header{"Authorization": {"Bearer x"}}, 401, "Unauthorized"},

		{"batch: unknown pool", http.MethodGet, w.data + "/pools/nothere?" + dataVersion, nil, nil, 404, "PoolNotFound"},
		{"batch: unknown job", http.MethodGet, w.data + "/jobs/nothere?" + dataVersion, nil, nil, 404, "JobNotFound"},
		{"batch: unknown task", http.MethodGet, w.data + "/jobs/j1/tasks/nothere?" + dataVersion, nil, nil, 404, "TaskNotFound"},
		{"batch: unknown path", http.MethodGet, w.data + "/nonsense?" + dataVersion, nil, nil, 400, "InvalidUri"},
		{"batch: no api-version", http.MethodGet, w.data + "/jobs", nil, nil, 400, "MissingRequiredQueryParameter"},
		{"batch: bad api-version", http.MethodGet, w.data + "/jobs?api-version=1.2", nil, nil, 400, "InvalidQueryParameterValue"},
		{"batch: bad JSON", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":`), nil, 400, "InvalidRequestBody"},
		{"batch: wrong type", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":[1]}`), nil, 400, "InvalidRequestBody"},
		{"batch: missing id", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"poolInfo":{"poolId":"p1"}}`), nil, 400, "MissingRequiredProperty"},
		{"batch: bad id", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":"no/good","poolInfo":{"poolId":"p1"}}`), nil, 400, "InvalidPropertyValue"},
		{"batch: long id", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":"` + long[:65] + `","poolInfo":{"poolId":"p1"}}`), nil, 400, "InvalidPropertyValue"},
		{"batch: missing command line", http.MethodPost, w.data + "/jobs/j1/tasks?" + dataVersion, []byte(`{"id":"t"}`), nil, 400, "MissingRequiredProperty"},
		{"batch: negative size", http.MethodPost, w.data + "/pools/p1/resize?" + dataVersion, []byte(`{"targetDedicatedNodes":-1}`), nil, 400, "InvalidPropertyValue"},
		{"batch: bad filter", http.MethodGet, w.data + "/jobs?$filter=nonsense%20eq&" + dataVersion, nil, nil, 400, "InvalidQueryParameterValue"},
		{"batch: maxresults out of range", http.MethodGet, w.data + "/jobs?maxresults=0&" + dataVersion, nil, nil, 400, "OutOfRangeQueryParameterValue"},
		{"batch: wrong content type", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":"j2","poolInfo":{"poolId":"p1"}}`), plain, 415, "UnsupportedMediaType"},
		{"batch: too large", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":"` + long + `"}`), nil, 413, "RequestBodyTooLarge"},
		{"batch: wrong method", http.MethodPut, w.data + "/pools/p1?" + dataVersion, []byte(`{}`), nil, 405, "UnsupportedHttpVerb"},
		{"batch: stale etag", http.MethodDelete, w.data + "/jobs/j1?" + dataVersion, nil, http.Header{"If-Match": {`"0x1"`}}, 412, "ConditionNotMet"},
		{"batch: taken id", http.MethodPost, w.data + "/jobs?" + dataVersion, []byte(`{"id":"J1","poolInfo":{"poolId":"p1"}}`), nil, 409, "JobExists"},
		{"batch: bad signature", http.MethodGet, w.data + "/jobs?" + dataVersion, nil, http.Header{"Authorization": {"SharedKey a:AAAA"}}, 403, "AuthenticationFailed"},

		{"graph: unknown path", http.MethodGet, "https://graph.microsoft.com/v1.0/nonsense", nil, nil, 404, "ResourceNotFound"},
		{"unknown account host", http.MethodGet, "https://nothere.westus2.batch.azure.com/jobs?" + dataVersion, nil, nil, 404, "AccountNotFound"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			resp, err := w.Do(context.Background(), c.method, c.url, c.body, c.header)
			if err != nil {
				t.Fatal(err)
			}
			var said struct {
				Error struct{ Code, Message string }
				Code  string
				// Batch's message is an object.
				Message struct{ Value string }
			}
			if err := json.Unmarshal(resp.Body, &said); err != nil {
				t.Fatalf("%d %q is not Azure's shape: %v", resp.Status, resp.Body, err)
			}
			code, message := said.Error.Code, said.Error.Message
			if strings.HasPrefix(c.name, "batch") || c.name == "unknown account host" {
				code, message = said.Code, said.Message.Value
			}
			if resp.Status != c.status || code != c.code || message == "" {
				t.Errorf("%s %.100s = %d %s %q, want %d %s", c.method, c.url, resp.Status, code, message, c.status, c.code)
			}
		})
	}
}
