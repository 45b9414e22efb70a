package vault_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/fault"
	"latchkey/vault"
)

func rotateAfter(wait, expiry string) vault.RotationPolicy {
	return vault.RotationPolicy{Expiry: expiry, Actions: []vault.LifetimeAction{{Type: "rotate", AfterCreate: wait}}}
}

func TestRotatingMakesANewVersionOfTheSameKind(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "rot1")
	for name, draft := range map[string]vault.Draft{
		"rsa": {Type: vault.RSAHSM, Size: 3072, Ops: []string{"wrapKey", "unwrapKey"}, Tags: map[string]string{"a": "b"}},
		"ec":  {Type: vault.EC, Curve: "P-256K"},
	} {
		ref := vault.Ref{Vault: "rot1", Key: name}
		first, err := w.Create(t.Context(), w.owner, ref, draft)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.SetRotationPolicy(t.Context(), w.owner, ref, vault.RotationPolicy{Expiry: "P28D"}); err != nil {
			t.Fatal(err)
		}
		second, err := w.Rotate(t.Context(), w.owner, ref)
		if err != nil {
			t.Fatal(err)
		}
		if second.ID == first.ID || second.Type != first.Type || len(second.Public.N) != len(first.Public.N) || second.Public.Curve != first.Public.Curve ||
			strings.Join(second.Ops, " ") != strings.Join(first.Ops, " ") || second.Tags["a"] != first.Tags["a"] ||
			second.Expires.Sub(second.Created) != 28*24*time.Hour || string(second.Public.N)+string(second.Public.X) == string(first.Public.N)+string(first.Public.X) {
			t.Errorf("got %+v after %+v", second, first)
		}
		if now, err := w.Key(t.Context(), w.owner, ref); err != nil || now.ID != second.ID {
			t.Errorf("got %+v, %v", now, err)
		}
		if _, err := w.UpdateKey(t.Context(), w.owner, ref, vault.Change{Attributes: vault.Attributes{Enabled: ptr(false)}}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Rotate(t.Context(), w.owner, ref)
		wants(t, err, fault.Forbidden, "KeyDisabled")
	}
	_, err := w.Rotate(t.Context(), w.owner, vault.Ref{Vault: "rot1", Key: "none"})
	wants(t, err, fault.KeyNotFound, "")
}

func TestRotationPolicies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "rot2")
	ref := vault.Ref{Vault: "rot2", Key: "k"}
	w.mustKey(t, ref, func(d *vault.Draft) { d.Type = vault.EC })
	got, err := w.RotationPolicy(t.Context(), w.owner, ref)
	if err != nil || len(got.Actions) != 1 || got.Actions[0] != (vault.LifetimeAction{Type: "Notify", BeforeExpiry: "P30D"}) ||
		got.ID != "https://rot2.vault.azure.net/keys/k/rotationpolicy" || !got.Created.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	action := func(kind, after, before string) vault.LifetimeAction {
		return vault.LifetimeAction{Type: kind, AfterCreate: after, BeforeExpiry: before}
	}
	for name, c := range map[string]struct {
		expiry  string
		actions []vault.LifetimeAction
		good    bool
	}{
		"nothing":                              {"", nil, true},
		"an expiry":                            {"P28D", nil, true},
		"both":                                 {"P1Y", []vault.LifetimeAction{action("Rotate", "P6M", ""), action("notify", "", "P30D")}, true},
		"before the expiry":                    {"P90D", []vault.LifetimeAction{action("ROTATE", "", "P30D")}, true},
		"hours":                                {"P90D", []vault.LifetimeAction{action("Rotate", "PT168H", "")}, true},
		"rotation without expiry":              {"", []vault.LifetimeAction{action("Rotate", "P7D", "")}, true},
		"too short a life":                     {"P27D", nil, false},
		"no period":                            {"28 days", nil, false},
		"an empty period":                      {"P", nil, false},
		"an empty clock":                       {"P30DT", nil, false},
		"a period of nothing":                  {"P0D", nil, false},
		"a period without end":                 {"P99999Y", nil, false},
		"rotation at once":                     {"P1Y", []vault.LifetimeAction{action("Rotate", "P6D", "")}, false},
		"rotation after the end":               {"P30D", []vault.LifetimeAction{action("Rotate", "P24D", "")}, false},
		"rotation before the beginning":        {"P30D", []vault.LifetimeAction{action("Rotate", "", "P24D")}, false},
		"months that are as long as the years": {"P2Y", []vault.LifetimeAction{action("Rotate", "", "P24M")}, false},
		"before an expiry that is not":         {"", []vault.LifetimeAction{action("Rotate", "", "P30D")}, false},
		"no trigger":                           {"", []vault.LifetimeAction{action("Rotate", "", "")}, false},
		"two triggers":                         {"P1Y", []vault.LifetimeAction{action("Rotate", "P30D", "P30D")}, false},
		"notice after creation":                {"P1Y", []vault.LifetimeAction{action("Notify", "P30D", "")}, false},
		"notice too late":                      {"P1Y", []vault.LifetimeAction{action("Notify", "", "P1D")}, false},
		"twice":                                {"P1Y", []vault.LifetimeAction{action("Rotate", "P30D", ""), action("rotate", "P40D", "")}, false},
		"another action":                       {"P1Y", []vault.LifetimeAction{action("Burn", "P30D", "")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := w.SetRotationPolicy(t.Context(), w.owner, ref, vault.RotationPolicy{Expiry: c.expiry, Actions: c.actions})
			if !c.good {
				wants(t, err, fault.BadParameter, "")
				return
			}
			got, gerr := w.RotationPolicy(t.Context(), w.owner, ref)
			if err != nil || gerr != nil || got.Expiry != c.expiry || got.Created.IsZero() || got.ID != set.ID || got.Actions[len(got.Actions)-1].Type != "Notify" {
				t.Errorf("got %+v, %v, %v", got, err, gerr)
			}
		})
	}
	_, err = w.RotationPolicy(t.Context(), w.owner, vault.Ref{Vault: "rot2", Key: "none"})
	wants(t, err, fault.KeyNotFound, "")
}

func TestKeyThatExpiredLongAgoRotatesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.mustVault(t, "rot5")
		ref := vault.Ref{Vault: "rot5", Key: "k"}
		first := w.mustKey(t, ref, func(d *vault.Draft) { d.Type, d.Expires = vault.EC, ptr(time.Unix(0, 0)) })
		if _, err := w.SetRotationPolicy(t.Context(), w.owner, ref, vault.RotationPolicy{
			Expiry: "P90D", Actions: []vault.LifetimeAction{{Type: vault.Rotate, BeforeExpiry: "P30D"}},
		}); err != nil {
			t.Fatal(err)
		}
		stop := w.running(t)
		time.Sleep(3 * vault.PurgeEvery)
		synctest.Wait()
		stop()
		list, err := w.Versions(t.Context(), w.owner, ref, vault.Page{})
		if err != nil || len(list.Keys) != 2 || list.Keys[0].ID != first.ID || !list.Keys[1].Expires.After(time.Now()) {
			t.Errorf("got %+v, %v, want one more version", list.Keys, err)
		}
	})
}

// running starts Run and stops it when the test ends.
func (w *world) running(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestKeysRotateByThemselvesWhenTheirPolicySaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.mustVault(t, "rot3")
		w.mustVault(t, "rot4")
		names := map[string]vault.RotationPolicy{
			"after":    rotateAfter("P10D", "P40D"),
			"before":   {Expiry: "P30D", Actions: []vault.LifetimeAction{{Type: "Rotate", BeforeExpiry: "P20D"}, {Type: "Notify", BeforeExpiry: "P7D"}}},
			"disabled": rotateAfter("P10D", ""),
			"deleted":  rotateAfter("P10D", ""),
			"back":     rotateAfter("P10D", ""),
			"none":     {},
		}
		first := map[string]string{}
		for name, policy := range names {
			ref := vault.Ref{Vault: "rot3", Key: name}
			first[name] = w.mustKey(t, ref, func(d *vault.Draft) {
				d.Type, d.Expires = vault.EC, ptr(time.Now().Add(30*24*time.Hour))
			}).ID
			if _, err := w.SetRotationPolicy(t.Context(), w.owner, ref, policy); err != nil {
				t.Fatal(err)
			}
		}
		lost := vault.Ref{Vault: "rot4", Key: "lost"}
		w.mustKey(t, lost, func(d *vault.Draft) { d.Type = vault.EC })
		if _, err := w.SetRotationPolicy(t.Context(), w.owner, lost, rotateAfter("P10D", "")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Delete(t.Context(), w.owner, w.at("rot4")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.UpdateKey(t.Context(), w.owner, vault.Ref{Vault: "rot3", Key: "disabled"}, vault.Change{Attributes: vault.Attributes{Enabled: ptr(false)}}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"deleted", "back"} {
			if _, err := w.DeleteKey(t.Context(), w.owner, vault.Ref{Vault: "rot3", Key: name}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.RecoverKey(t.Context(), w.owner, vault.Ref{Vault: "rot3", Key: "back"}); err != nil {
			t.Fatal(err)
		}
		newest := func(name string) string {
			t.Helper()
			list, err := w.Versions(t.Context(), w.owner, vault.Ref{Vault: "rot3", Key: name}, vault.Page{})
			if errors.Is(err, fault.KeyNotFound) {
				return first[name]
			}
			if err != nil {
				t.Fatal(err)
			}
			return list.Keys[len(list.Keys)-1].ID
		}
		// The store's own clocks need not tick for days: the service is off meanwhile.
		w.close(t)
		time.Sleep(10*24*time.Hour - 2*vault.PurgeEvery)
		w.open(t)
		stop := w.running(t)
		synctest.Wait()
		for name := range names {
			if newest(name) != first[name] {
				t.Errorf("%s was rotated before its time", name)
			}
		}
		time.Sleep(4 * vault.PurgeEvery)
		synctest.Wait()
		for name := range names {
			if got, want := newest(name) != first[name], name == "after" || name == "before" || name == "back"; got != want {
				t.Errorf("%s was rotated: %v, want %v", name, got, want)
			}
		}
		stop()
		key, err := w.Key(t.Context(), w.owner, vault.Ref{Vault: "rot3", Key: "after"})
		if err != nil || key.Expires.Sub(key.Created) != 40*24*time.Hour {
			t.Errorf("got %+v, %v", key, err)
		}
		audited := w.audited(t)
		if got := strings.Count(audited, `"operationName":"KeyRotateIfDue"`); got != 3 {
			t.Errorf("%d rotations are in the audit, want 3", got)
		}
		// The key without a policy expires in thirty days: that has been told, once.
		var told int
		for line := range strings.Lines(audited) {
			if strings.Contains(line, "KeyNearExpiryEventGridNotification") && strings.Contains(line, "/keys/none/") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("the near expiry was told %d times, want once", told)
		}
	})
}
