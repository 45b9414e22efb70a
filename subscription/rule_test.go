package subscription_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"latchkey/fault"
	"latchkey/subscription"
)

func TestLocations(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"westus2": "westus2", "West US 2": "westus2", "WESTUS2": "westus2", " west us 2 ": "westus2",
		"swedencentral": "swedencentral", "": "", "mars": "", "west-us-2": "",
	} {
		got, err := subscription.Place(in, "Microsoft.Batch/batchAccounts")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Place(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	_, err := subscription.Place("mars", "Microsoft.Batch/batchAccounts")
	if !errors.Is(err, fault.LocationNotAvailable) || !strings.Contains(err.Error(), "northeurope") {
		t.Errorf("Place(mars) = %v, want %v with a list", err, fault.LocationNotAvailable)
	}
	if _, err := subscription.Place("", "x"); !errors.Is(err, fault.LocationRequired) {
		t.Errorf("Place of nothing = %v, want %v", err, fault.LocationRequired)
	}
}

func TestLocationTableIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, l := range subscription.Locations() {
		if seen[l.Name] || subscription.LocationName(l.Display) != l.Name {
			t.Errorf("%s (%s) is there twice or its name is not that of %s", l.Name, l.Display, subscription.LocationName(l.Display))
		}
		seen[l.Name] = true
		if l.Prefix == "" || l.Geography == "" || l.Group == "" || l.Place == "" || l.Latitude == "" || l.Longitude == "" {
			t.Errorf("%s has gaps: %+v", l.Name, l)
		}
	}
	for _, l := range subscription.Locations() {
		if l.Pair != "" && !seen[l.Pair] {
			t.Errorf("%s is paired with %s, which there is not", l.Name, l.Pair)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint("tag", i)] = "x"
	}
	for name, test := range map[string]struct {
		tags map[string]string
		want *fault.Code
	}{
		"none":                      {nil, nil},
		"some":                      {map[string]string{"a": "", "Größe": "ü", strings.Repeat("n", 512): strings.Repeat("v", 256)}, nil},
		"too many":                  {many, fault.InvalidTags},
		"no name":                   {map[string]string{"": "x"}, fault.InvalidTags},
		"name too long":             {map[string]string{strings.Repeat("n", 513): ""}, fault.InvalidTags},
		"value too long":            {map[string]string{"n": strings.Repeat("v", 257)}, fault.InvalidTags},
		"reserved characters":       {map[string]string{"a/b": "x"}, fault.InvalidTagNameCharacters},
		"control characters":        {map[string]string{"a\nb": "x"}, fault.InvalidTagNameCharacters},
		"reserved word":             {map[string]string{"Microsoft-x": "x"}, fault.InvalidTags},
		"names that differ by case": {map[string]string{"Env": "x", "env": "y"}, fault.InvalidTags},
	} {
		err := subscription.CheckTags(test.tags)
		if test.want == nil && err != nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: CheckTags = %v, want %v", name, err, test.want)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	values := map[string]string{"resourceType": "Microsoft.KeyVault/vaults", "name": "It's v1", "location": "westus2", "tagName": "env", "tagValue": "prod"}
	for filter, want := range map[string]bool{
		"": true,
		"resourceType eq 'Microsoft.KeyVault/vaults'":                            true,
		"RESOURCETYPE EQ 'microsoft.keyvault/VAULTS'":                            true,
		"resourceType eq 'Microsoft.KeyVault/vaults' and name eq 'It''s v1'":     true,
		"resourceType eq 'Microsoft.KeyVault/vaults' and name eq 'v2'":           false,
		"name eq 'v2' or name eq 'It''s v1'":                                     true,
		"name ne 'v2'":                                                           true,
		"name eq 'v2' and name eq 'v3' or location eq 'West US 2'":               true,
		"name eq 'v2' and (name eq 'v3' or location eq 'westus2')":               false,
		"not (name eq 'v2')":                                                     true,
		"substringof('keyvault', resourceType)":                                  true,
		"substringof('batch',resourceType)":                                      false,
		"startswith(tagName, 'en')":                                              true,
		"tagName eq 'env' and tagValue eq 'test'":                                false,
		"(((resourceType eq 'Microsoft.KeyVault/vaults')))":                      true,
		"endswith(name,'v1') and contains(name, '''s')":                          true,
		"  resourceType   eq   'Microsoft.KeyVault/vaults'  ":                    true,
		"location eq 'eastus' or (location eq 'westus2' and not name eq 'nope')": true,
	} {
		f, err := subscription.ParseFilter(filter, subscription.ResourceProperties...)
		if err != nil {
			t.Errorf("ParseFilter(%q) = %v", filter, err)
			continue
		}
		if got := f.Keeps(func(p string) string { return values[p] }); got != want {
			t.Errorf("%q keeps = %v, want %v", filter, got, want)
		}
	}
	for _, filter := range []string{
		"name", "name eq", "name eq v1", "name eq 'v1", "eq 'v1'", "name gt 'a'", "color eq 'red'", "name eq 'a' and", "name eq 'a' name eq 'b'",
		"(name eq 'a'", "name eq 'a')", "substringof('a')", "substringof('a', 'b')", "startswith(name)", "()", "not", "'a' eq name",
		strings.Repeat("(", 1000), strings.Repeat("not ", 1000) + "name eq 'a'",
	} {
		if _, err := subscription.ParseFilter(filter, subscription.ResourceProperties...); !errors.Is(err, fault.InvalidFilter) {
			t.Errorf("ParseFilter(%.40q) = %v, want %v", filter, err, fault.InvalidFilter)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add("resourceType eq 'a' and (name ne 'b' or not substringof('c', location))")
	f.Add("'((not eq'',")
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := subscription.ParseFilter(s, subscription.ResourceProperties...)
		if err != nil {
			if !errors.Is(err, fault.InvalidFilter) {
				t.Errorf("ParseFilter(%q) = %v, want %v", s, err, fault.InvalidFilter)
			}
			return
		}
		filter.Keeps(func(p string) string { return p })
	})
}

func TestListsAreFiltered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, tags := range map[string]map[string]string{
		"g1": {"env": "prod", "team": "red"}, "g2": {"env": "test"}, "g3": {"other": "prod"}, "g4": nil,
	} {
		_, _, err := w.PutGroup(t.Context(), w.owner, subscription.Group{Subscription: w.sub, Name: name, Location: "eastus", Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
	}
	for filter, want := range map[string][]string{
		"tagName eq 'env'":                         {"g1", "g2"},
		"tagName eq 'ENV' and tagValue eq 'prod'":  {"g1"},
		"tagName eq 'team' and tagValue eq 'prod'": nil,
		"tagName eq 'env' and tagValue eq 'none'":  nil,
	} {
		f, err := subscription.ParseFilter(filter, subscription.GroupProperties...)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := w.Groups(t.Context(), w.owner, w.sub, f)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, g := range groups {
			names = append(names, g.Name)
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("groups with %s: %v, want %v", filter, names, want)
		}
	}
}

func TestProvidersAreRegisteredUntilSomebodySaysOtherwise(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	if err := w.RequireProvider(ctx, w.sub, "microsoft.managedidentity"); err != nil {
		t.Errorf("RequireProvider at the start = %v", err)
	}
	w.mustGroup(t, "g1")
	m := w.mustIdentity(t, "g1", "id1")
	if _, err := w.Register(ctx, w.owner, w.sub, "Microsoft.ManagedIdentity", false); !errors.Is(err, fault.Conflict) {
		t.Errorf("unregistering with a resource there = %v, want %v", err, fault.Conflict)
	}
	if err := w.directory.DeleteIdentity(ctx, m.ResourceID); err != nil {
		t.Fatal(err)
	}
	p, err := w.Register(ctx, w.owner, w.sub, "microsoft.managedIdentity", false)
	if err != nil || p.Registered || p.Namespace != "Microsoft.ManagedIdentity" {
		t.Errorf("unregistering = %+v, %v, want one that is not registered", p, err)
	}
	if err := w.RequireProvider(ctx, w.sub, "Microsoft.ManagedIdentity"); !errors.Is(err, fault.MissingRegistration) {
		t.Errorf("RequireProvider = %v, want %v", err, fault.MissingRegistration)
	}
	if _, err := w.Register(ctx, w.owner, w.sub, "Microsoft.ManagedIdentity", true); err != nil {
		t.Error(err)
	}
	if err := w.RequireProvider(ctx, w.sub, "Microsoft.ManagedIdentity"); err != nil {
		t.Errorf("RequireProvider after registering = %v", err)
	}
	if _, err := w.Register(ctx, w.owner, w.sub, "Microsoft.Resources", false); !errors.Is(err, fault.Conflict) {
		t.Errorf("unregistering Microsoft.Resources = %v, want %v", err, fault.Conflict)
	}
	if _, err := w.Register(ctx, w.owner, w.sub, "Contoso.Nothing", true); !errors.Is(err, fault.InvalidResourceNamespace) {
		t.Errorf("registering Contoso.Nothing = %v, want %v", err, fault.InvalidResourceNamespace)
	}
}
