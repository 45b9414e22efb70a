package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey/resource"
	"latchkey/server"
)

// TestAskIdentityReadsEveryAnswer shows the client's half of POST /local/identity.
func TestAskIdentityReadsEveryAnswer(t *testing.T) {
	t.Parallel()
	data, err := server.OpenData(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	creds := server.Credentials{TenantID: resource.NewGUID(), SubscriptionID: resource.NewGUID(), ClientID: resource.NewGUID(), ClientSecret: "a-secret-of-a-test"}
	if err := data.KeepCredentials(creds); err != nil {
		t.Fatal(err)
	}
	want := server.Identity{Endpoint: "http://e", Header: "h", PodHost: "http://p", ClientID: "c", TenantID: "t"}
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"known":         {200, `{"endpoint":"http://e","header":"h","podHost":"http://p","clientId":"c","tenantId":"t"}`, ""},
		"unknown":       {404, `{"error":{"code":"ResourceNotFound","message":"There is no identity \"id1\"."}}`, `There is no identity "id1".`},
		"not a service": {502, `<html>`, "502 Bad Gateway"},
		"not JSON":      {200, `<html>`, "reading the service's answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var in struct{ Identity string }
				err := json.NewDecoder(r.Body).Decode(&in)
				if err != nil || r.Method != "POST" || r.URL.Path != "/local/identity" || in.Identity != "id1" || r.Header.Get("Authorization") != "Bearer "+creds.ClientSecret {
					t.Errorf("service was asked %s %s for %q (%v), authorized by the secret: %t", r.Method, r.URL, in.Identity, err, r.Header.Get("Authorization") == "Bearer "+creds.ClientSecret)
				}
				w.WriteHeader(test.status)
				w.Write([]byte(test.body))
			}))
			defer service.Close()
			got, err := askIdentity(t.Context(), server.Info{Data: string(data.Layout), Portal: strings.TrimPrefix(service.URL, "http://")}, "id1")
			if test.says == "" {
				if err != nil || *got != want {
					t.Errorf("askIdentity = %+v, %v, want %+v", got, err, want)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("askIdentity = %v, want an error with %q", err, test.says)
			}
		})
	}
}
