package vault_test

import (
	"testing"

	"latchkey/fault"
	"latchkey/vault"
)

func TestPoliciesAreChangedPerPrincipal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a, b := w.guest(), w.guest()
	w.mustVault(t, "pol1", func(s *vault.Settings) { s.Policies = &[]vault.Policy{} })
	type permissions map[string][]string
	steps := []struct {
		name string
		how  vault.PolicyChange
		by   []vault.Policy
		want permissions
	}{
		{"adding to nobody", vault.AddPolicies, []vault.Policy{w.policy(a, "Get")}, permissions{a.ObjectID: {"Get"}}},
		{"adding to somebody", vault.AddPolicies, []vault.Policy{w.policy(a, "get", "list")}, permissions{a.ObjectID: {"Get", "list"}}},
		{"adding another", vault.AddPolicies, []vault.Policy{w.policy(b, "sign")}, permissions{a.ObjectID: {"Get", "list"}, b.ObjectID: {"sign"}}},
		{"replacing one", vault.ReplacePolicies, []vault.Policy{w.policy(a, "wrapKey")}, permissions{a.ObjectID: {"wrapKey"}, b.ObjectID: {"sign"}}},
		{"replacing nobody", vault.ReplacePolicies, []vault.Policy{w.policy(w.owner, "all")}, permissions{a.ObjectID: {"wrapKey"}, b.ObjectID: {"sign"}, w.owner.ObjectID: {"all"}}},
		{"removing what is not there", vault.RemovePolicies, []vault.Policy{w.policy(a, "get")}, permissions{a.ObjectID: {"wrapKey"}, b.ObjectID: {"sign"}, w.owner.ObjectID: {"all"}}},
		{"removing the last", vault.RemovePolicies, []vault.Policy{w.policy(a, "WRAPKEY")}, permissions{b.ObjectID: {"sign"}, w.owner.ObjectID: {"all"}}},
		{"removing all of one", vault.RemovePolicies, []vault.Policy{w.policy(b)}, permissions{w.owner.ObjectID: {"all"}}},
		{"removing a stranger", vault.RemovePolicies, []vault.Policy{w.policy(b, "get")}, permissions{w.owner.ObjectID: {"all"}}},
	}
	for _, step := range steps {
		v, err := w.ChangePolicies(t.Context(), w.owner, w.at("pol1"), step.how, step.by)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if len(v.Policies) != len(step.want) {
			t.Fatalf("%s: got %d policies, want %d", step.name, len(v.Policies), len(step.want))
		}
		for _, p := range v.Policies {
			want := step.want[p.ObjectID]
			if len(want) != len(p.Keys) {
				t.Fatalf("%s: got %v, want %v", step.name, p.Keys, want)
			}
			for i := range want {
				if want[i] != p.Keys[i] {
					t.Errorf("%s: got %v, want %v", step.name, p.Keys, want)
				}
			}
		}
	}
	_, err := w.ChangePolicies(t.Context(), w.owner, w.at("pol2"), vault.AddPolicies, nil)
	wants(t, err, fault.NotFound, "")
	_, err = w.ChangePolicies(t.Context(), w.owner, w.at("pol1"), vault.AddPolicies, []vault.Policy{w.policy(a, "fly")})
	wants(t, err, fault.VaultBadRequest, "")
}

func TestPolicyForAnApplicationIsForItsUsersOnly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	who := w.guest()
	p := w.policy(who, "get")
	p.Application = who.AppID
	w.mustVault(t, "pol3", func(s *vault.Settings) { s.Policies = &[]vault.Policy{w.policy(w.owner, "all"), p} })
	ref := vault.Ref{Vault: "pol3", Key: "k"}
	w.mustKey(t, ref)
	_, err := w.Key(t.Context(), who, ref)
	wants(t, err, fault.Forbidden, "AccessDenied")
	who.Kind = "user"
	_, err = w.Key(t.Context(), who, ref)
	wants(t, err, nil, "")
	who.AppID = w.owner.AppID
	_, err = w.Key(t.Context(), who, ref)
	wants(t, err, fault.Forbidden, "AccessDenied")
}
