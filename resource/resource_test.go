package resource_test

import (
	"testing"

	"latchkey/resource"
)

func TestFoldIsForASCIIOnly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "abc": "abc", "MyJob": "myjob", "A-1_z": "a-1_z",
		// The Kelvin sign folds to k in Unicode: two ids must not meet in it.
		"\u212Aelvin": "\u212Aelvin", "ÄB": "Äb",
	} {
		if got := resource.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestGUIDs(t *testing.T) {
	t.Parallel()
	a, b := resource.NewGUID(), resource.NewGUID()
	if a == b || !resource.IsGUID(a) || a[14] != '4' {
		t.Errorf("NewGUID = %q and %q, want two version 4 UUIDs", a, b)
	}
	for _, bad := range []string{"", a[1:], a + "0", "g" + a[1:], a[:8] + "0" + a[9:]} {
		if resource.IsGUID(bad) {
			t.Errorf("IsGUID(%q) = true", bad)
		}
	}
}

func TestParseIDKeepsTheCaseAndComparesWithoutIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, kind, name, out string }{
		{"/subscriptions/S", "Microsoft.Resources/subscriptions", "S", "/subscriptions/S"},
		{"/SUBSCRIPTIONS/S/resourcegroups/G/", "Microsoft.Resources/resourceGroups", "G", "/subscriptions/S/resourceGroups/G"},
		{
			"/subscriptions/S/resourceGroups/G/providers/microsoft.batch/BatchAccounts/A/pools/P",
			"Microsoft.Batch/batchAccounts/pools", "P", "/subscriptions/S/resourceGroups/G/providers/microsoft.batch/BatchAccounts/A/pools/P",
		},
		{"/subscriptions/S/providers/Microsoft.X/things/T", "Microsoft.X/things", "T", "/subscriptions/S/providers/Microsoft.X/things/T"},
	} {
		id, err := resource.ParseID(c.in)
		if err != nil || !id.Is(c.kind) || id.Name() != c.name || id.String() != c.out {
			t.Errorf("ParseID(%q) = %q of type %q named %q, %v; want %q of type %q named %q", c.in, id, id.Type(), id.Name(), err, c.out, c.kind, c.name)
		}
	}
	for _, bad := range []string{
		"", "/", "subscriptions/S", "/subscriptions", "/subscriptions//resourceGroups/G", "/tenants/T/x/y",
		"/subscriptions/S/resourceGroups/G/providers/N", "/subscriptions/S/resourceGroups/G/providers/N/T", "/subscriptions/S/resourceGroups/G/other/N/T/X",
	} {
		if id, err := resource.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) = %q, want an error", bad, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("/subscriptions/S/resourceGroups/G/providers/N/T/X")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := resource.ParseID(s)
		if err != nil {
			return
		}
		again, err := resource.ParseID(id.String())
		if err != nil || again.String() != id.String() {
			t.Errorf("ParseID(%q) writes itself as %q, which reads as %q, %v", s, id, again, err)
		}
	})
}

func TestWithinStopsAtWholeSegments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, scope string
		want      bool
	}{
		{"/subscriptions/s/resourceGroups/g", "/subscriptions/S", true},
		{"/subscriptions/s", "/subscriptions/s/", true},
		{"/subscriptions/s/resourceGroups/g1", "/subscriptions/s/resourceGroups/g", false},
		{"/subscriptions/s", "/subscriptions/s/resourceGroups/g", false},
	} {
		if got := resource.Within(c.id, c.scope); got != c.want {
			t.Errorf("Within(%q, %q) = %t, want %t", c.id, c.scope, got, c.want)
		}
	}
}

func TestRouteFindsTheDoor(t *testing.T) {
	t.Parallel()
	own := resource.Own("cloud.test:8443")
	for _, c := range []struct {
		cloud        resource.Cloud
		host         string
		door         resource.Door
		name, region string
	}{
		{resource.Azure(), "management.azure.com", resource.ManagementDoor, "", ""},
		{resource.Azure(), "MANAGEMENT.azure.com.:443", resource.ManagementDoor, "", ""},
		{resource.Azure(), "sts.windows.net", resource.LoginDoor, "", ""},
		{resource.Azure(), "v1.vault.azure.net", resource.VaultDoor, "v1", ""},
		{resource.Azure(), "a1.westus2.batch.azure.com", resource.BatchDoor, "a1", "westus2"},
		{resource.Azure(), "vault.azure.net", resource.NoDoor, "", ""},
		{resource.Azure(), "a.b.vault.azure.net", resource.NoDoor, "", ""},
		{resource.Azure(), "a1.batch.azure.com", resource.NoDoor, "", ""},
		{resource.Azure(), "evilmanagement.azure.com", resource.NoDoor, "", ""},
		{own, "v1.vault.cloud.test:8443", resource.VaultDoor, "v1", ""},
		{own, "login.cloud.test", resource.LoginDoor, "", ""},
		{own, "sts.windows.net", resource.NoDoor, "", ""},
	} {
		door, name, region := c.cloud.Route(c.host)
		if door != c.door || name != c.name || region != c.region {
			t.Errorf("%s: Route(%q) = %d %q %q, want %d %q %q", c.cloud.Name, c.host, door, name, region, c.door, c.name, c.region)
		}
	}
	if got, want := own.VaultURI("V1"), "https://v1.vault.cloud.test:8443/"; got != want {
		t.Errorf("VaultURI = %q, want %q", got, want)
	}
}
