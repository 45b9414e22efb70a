package graphapi

import (
	"strings"
	"testing"
)

func TestFilterKeepsWhatItAsksFor(t *testing.T) {
	t.Parallel()
	objects := []object{
		{ID: "o1", AppID: "a1", DisplayName: "Batch One", Names: []string{"a1"}, ServicePrincipalType: "ManagedIdentity"},
		{ID: "o2", AppID: "a2", DisplayName: "it's or not", Names: []string{"a2"}, ServicePrincipalType: "Application"},
	}
	for _, c := range []struct{ filter, want string }{
		{"", "o1 o2"},
		{"appId eq 'A1'", "o1"},
		{"id eq 'o2'", "o2"},
		{"displayName eq 'it''s or not'", "o2"},
		{"startswith(displayName,'batch')", "o1"},
		{"startswith(displayName, 'it''s or')", "o2"},
		{"servicePrincipalNames/any(c:c eq 'a2')", "o2"},
		{"appId eq 'a1' or appId eq 'a2'", "o1 o2"},
		{"(appId eq 'a1') and servicePrincipalType eq 'Application'", ""},
		{"appId eq 'nobody'", ""},
	} {
		keep, err := parseFilter(c.filter)
		if err != nil {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		var kept []string
		for _, o := range objects {
			if keep(o) {
				kept = append(kept, o.ID)
			}
		}
		if got := strings.Join(kept, " "); got != c.want {
			t.Errorf("%q keeps %q, want %q", c.filter, got, c.want)
		}
	}
	for _, bad := range []string{"nonsense", "secret eq 'x'", "appId eq 'x", "appId eq 'a' or id eq 'b' and id eq 'c'", "servicePrincipalNames/any(c:d eq 'x')"} {
		if _, err := parseFilter(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
