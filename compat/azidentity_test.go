package compat

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
)

var managementScope = policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}}

func TestClientSecretCredentialGetsTokens(t *testing.T) {
	t.Parallel()
	tenant, client, secret := os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID"), os.Getenv("AZURE_CLIENT_SECRET")
	good, err := azidentity.NewClientSecretCredential(tenant, client, secret, nil)
	ok(t, err)
	for _, scope := range []string{
		"https://management.azure.com/.default", "https://vault.azure.net/.default", "https://batch.core.windows.net//.default",
		"https://graph.microsoft.com/.default",
	} {
		token, err := good.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		ok(t, err)
		if token.Token == "" || token.ExpiresOn.IsZero() {
			t.Errorf("the token for %s is %+v", scope, token)
		}
	}
	bad, err := azidentity.NewClientSecretCredential(tenant, client, secret+"x", nil)
	ok(t, err)
	if _, err := bad.GetToken(t.Context(), managementScope); err == nil || !strings.Contains(err.Error(), "AADSTS7000215") {
		t.Errorf("with a wrong secret: %v, want AADSTS7000215", err)
	}
}

// identityVariable says that a test was run again as a managed identity.
const identityVariable = "LATCHKEY_COMPAT_IDENTITY"

func TestManagedIdentityCredentialIsTheIdentity(t *testing.T) {
	t.Parallel()
	if object := os.Getenv(identityVariable); object != "" {
		asIdentity(t, object)
		return
	}
	w := newWorld(t)
	id := w.identity()
	tests, err := os.Executable()
	ok(t, err)
	again := exec.Command(os.Getenv(binaryVariable), "exec", "--data", os.Getenv(dataVariable), "--identity", *id.ID, "--",
		tests, "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), identityVariable+"="+*id.Properties.PrincipalID)
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("as the identity: %v\n%s", err, out)
	}
}

// asIdentity runs below `latchkey exec --identity`.
func asIdentity(t *testing.T, object string) {
	if secret, set := os.LookupEnv("AZURE_CLIENT_SECRET"); set {
		t.Fatalf("a managed identity was given the secret %q", secret)
	}
	managed, err := azidentity.NewManagedIdentityCredential(nil)
	ok(t, err)
	fallen, err := azidentity.NewDefaultAzureCredential(nil)
	ok(t, err)
	w := &world{T: t, credential: managed}
	if got := w.claim("oid"); got != object {
		t.Errorf("the managed identity is %s, want %s", got, object)
	}
	w.credential = fallen
	if got := w.claim("oid"); got != object {
		t.Errorf("the default credential is %s, want %s", got, object)
	}
	// It has no role, so it may do nothing.
	groups, err := armresources.NewResourceGroupsClient(os.Getenv("AZURE_SUBSCRIPTION_ID"), managed, nil)
	ok(t, err)
	_, err = groups.CreateOrUpdate(t.Context(), "never", armresources.ResourceGroup{}, nil)
	refused(t, err, 403, "AuthorizationFailed")
}
