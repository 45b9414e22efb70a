package armapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"latchkey/identity"
	"latchkey/resource"
	"latchkey/vault"
)

// ask makes a request of the owner and returns status and body.
func (w *world) ask(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL+path+"?api-version=2024-07-01", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.owner(t))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if resp.ContentLength != 0 {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatalf("%s %s: %d: %v", method, path, resp.StatusCode, err)
		}
	}
	return resp.StatusCode, out
}

// at walks into a JSON object.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// A locked account shows why in its GET, can be deleted, and refuses all else.
func TestALockedAccountIsShownWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.ring.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.vaults.OnChange(w.ring.Nudge)

	b := w.directory.Bootstrap()
	owner := identity.Caller{Tenant: b.TenantID, ObjectID: b.ObjectID, AppID: b.ClientID, Kind: "application"}
	group := "/subscriptions/" + w.sub + "/resourceGroups/g1"
	if status, body := w.ask(t, "PUT", group, `{"location":"westus2"}`); status != 201 {
		t.Fatalf("group: %d %v", status, body)
	}
	user, _, err := w.directory.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(w.sub, "g1", "Microsoft.ManagedIdentity", "userAssignedIdentities", "user1"), Location: "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	on := true
	vaultAt := vault.Address{Subscription: w.sub, Group: "g1", Name: "vault1"}
	policies := []vault.Policy{
		{Tenant: b.TenantID, ObjectID: b.ObjectID, Keys: []string{"all"}},
		{Tenant: b.TenantID, ObjectID: user.PrincipalID, Keys: []string{"get", "wrapKey", "unwrapKey"}},
	}
	if _, _, err := w.vaults.Put(t.Context(), owner, vaultAt, vault.Settings{
		Location: "westus2", Tenant: &b.TenantID, SKU: &vault.SKU{Family: "A", Name: "standard"}, PurgeProtection: &on, Policies: &policies,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.vaults.Create(t.Context(), owner, vault.Ref{Vault: "vault1", Key: "k1"}, vault.Draft{Type: vault.RSA}); err != nil {
		t.Fatal(err)
	}

	account := group + "/providers/Microsoft.Batch/batchAccounts/acct1"
	encryption := `"properties":{"encryption":{"keySource":"Microsoft.KeyVault","keyVaultProperties":{"keyIdentifier":"https://vault1.vault.azure.net/keys/k1"}}}`
	if status, body := w.ask(t, "PUT", account, `{"location":"westus2","identity":{"type":"UserAssigned","userAssignedIdentities":{"`+user.ResourceID+`":{}}},`+encryption+`}`); status != 202 {
		t.Fatalf("create: %d %v", status, body)
	}
	// Terraform sends the same encryption with every change.
	status, body := w.ask(t, "PATCH", account, `{"tags":{"a":"b"},`+encryption+`}`)
	if status != 200 || at(body, "properties", "encryption", "keyVaultProperties", "keyIdentifier") != "https://vault1.vault.azure.net/keys/k1" ||
		at(body, "properties", "keyStatus", "state") != "Usable" || at(body, "identity", "userAssignedIdentities", user.ResourceID, "clientId") != user.ClientID {
		t.Fatalf("patch: %d %v", status, body)
	}
	if id, _ := at(body, "properties", "keyStatus", "keyIdentifier").(string); !strings.HasPrefix(id, "https://vault1.vault.azure.net/keys/k1/") {
		t.Errorf("the key in use is shown as %q", id)
	}

	if _, err := w.vaults.ChangePolicies(t.Context(), owner, vaultAt, vault.RemovePolicies, []vault.Policy{{Tenant: b.TenantID, ObjectID: user.PrincipalID}}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, body = w.ask(t, "GET", account, "")
		if at(body, "properties", "keyStatus", "state") == "Locked" || time.Now().After(deadline) {
			break
		}
	}
	if status != 200 || at(body, "properties", "keyStatus", "reason") != "PermissionMissing" || at(body, "properties", "keyStatus", "since") == nil ||
		at(body, "properties", "keyStatus", "nodes", "unusable") != 2.0 || at(body, "properties", "keyStatus", "tasks", "active") != 17.0 {
		t.Errorf("get: %d %v", status, body)
	}
	for _, r := range [][3]string{
		{"PATCH", account, `{"tags":{}}`},
		{"PUT", account, `{"location":"westus2"}`},
		{"POST", account + "/listKeys", ""},
		{"POST", account + "/regenerateKeys", `{"keyName":"Primary"}`},
		{"POST", account + "/syncAutoStorageKeys", ""},
		{"GET", account + "/outboundNetworkDependenciesEndpoints", ""},
		{"GET", account + "/detectors", ""},
		{"GET", account + "/applications", ""},
		{"GET", account + "/pools", ""},
		{"GET", account + "/pools/p1", ""},
		{"DELETE", account + "/pools/p1", ""},
		{"PATCH", account + "/pools/p1", "{}"},
		{"PUT", account + "/pools/p1", `{"properties":{}}`},
		{"PUT", account + "/pools/p1", "{"},
		{"POST", account + "/pools/p1/stopResize", ""},
		{"GET", account + "/poolOperationResults/delete-p1-18AAAAAAAAAAAAAA", ""},
		{"GET", account + "/certificates", ""},
		{"DELETE", account + "/certificates/sha1-0a0e4f50d51beadeac1d35afc5116098e7902e6e", ""},
	} {
		status, body := w.ask(t, r[0], r[1], r[2])
		details, _ := at(body, "error", "details").([]any)
		if status != 403 || at(body, "error", "code") != "CustomerManagedKeyUnavailable" || len(details) != 3 {
			t.Errorf("%s %s: %d %v", r[0], r[1], status, body)
		}
	}
	if status, body := w.ask(t, "GET", group+"/providers/Microsoft.Batch/batchAccounts", ""); status != 200 || len(at(body, "value").([]any)) != 1 {
		t.Errorf("list: %d %v", status, body)
	}
	if status, _ := w.ask(t, "DELETE", account, ""); status != 202 {
		t.Errorf("delete: %d", status)
	}
	if status, _ := w.ask(t, "GET", account, ""); status != 404 {
		t.Errorf("get behind delete: %d", status)
	}
}
