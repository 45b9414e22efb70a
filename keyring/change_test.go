package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/fault"
	"latchkey/keyring"
	"latchkey/store"
)

// crash is a failure at the moment of a durable write.
var errCrash = errors.New("the power went away")

func TestRotationIsOneWrite(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from, to func(v *rogue) string
	}{
		"new version":            {func(v *rogue) string { return keyID + "/" + v.newest("k1").id }, func(v *rogue) string { return v.add("k1") }},
		"other key":              {func(v *rogue) string { return keyID }, func(v *rogue) string { return v.add("k2") }},
		"other vault":            {func(v *rogue) string { return keyID }, func(*rogue) string { return "https://v2.vault.azure.net/keys/k1" }},
		"version to versionless": {func(v *rogue) string { return keyID + "/" + v.newest("k1").id }, func(v *rogue) string { v.add("k1"); return keyID }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := setup(t)
				ctx := context.Background()
				space := w.create(customer(test.from(w.vault)))
				w.must(w.write(space, "j1", "secret"))
				before := w.rows(space)
				old := w.status(space)
				next := test.to(w.vault)

				// A crash before the write leaves everything as it was.
				err := w.ring.Change(ctx, space, customer(next), func(*store.Tx) error { return errCrash })
				if !errors.Is(err, errCrash) {
					t.Fatalf("Change = %v, want %v", err, errCrash)
				}
				if s := w.status(space); s.KeyID != old.KeyID || s.Custody != old.Custody {
					t.Errorf("after a failed change: %+v, want %+v", s, old)
				}
				w.restart()
				stop := w.run()
				tick()
				w.wantState(space, keyring.Usable, "")
				if s, err := w.read(space, "j1"); err != nil || s != "secret" {
					t.Fatalf("read = %q, %v", s, err)
				}
				stop()

				w.must(w.ring.Change(ctx, space, customer(next), nil))
				s := w.status(space)
				if s.KeyID == old.KeyID || s.Custody.KeyID != next || s.Generation != 1 || s.Resealing != nil {
					t.Errorf("after a change: %+v", s)
				}
				if got := fmt.Sprint(s.KeyVersionsNeeded); got != "["+s.KeyID+"]" {
					t.Errorf("versions needed = %s, want only %s", got, s.KeyID)
				}
				if !bytes.Equal(w.rows(space), before) {
					t.Error("a rotation rewrote records")
				}
				// A crash behind the write: the new key opens the account, the old one is
				// needed no more.
				w.vault.change(func() {
					if strings.Contains(next, "//v1") {
						w.vault.keys["k1"].versions[0].disabled = true
					}
				})
				w.restart()
				w.run()
				tick()
				w.wantState(space, keyring.Usable, "")
				if s, err := w.read(space, "j1"); err != nil || s != "secret" {
					t.Errorf("read = %q, %v", s, err)
				}
			})
		})
	}
}

// rows returns everything that is stored of a space.
func (w *world) rows(space store.Space) []byte {
	w.t.Helper()
	rows, err := w.driver.Scan(context.Background(), space[:], append(space[:], 0xff, 0xff), 10000)
	w.must(err)
	var b bytes.Buffer
	for _, r := range rows {
		fmt.Fprintf(&b, "%x %d %x\n", r.Key, r.Version, r.Value)
	}
	return b.Bytes()
}

func TestVersionlessFollowsAndVersionedStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		first := keyID + "/" + w.vault.newest("k1").id
		follows, stays := w.create(customer(keyID)), w.create(customer(first))
		w.run()
		tick()
		second := w.vault.add("k1")
		tick()
		if s := w.status(follows); s.KeyID != second || s.Custody.KeyID != keyID {
			t.Errorf("versionless: %s as %s, want %s", s.KeyID, s.Custody.KeyID, second)
		}
		if s := w.status(stays); s.KeyID != first {
			t.Errorf("versioned: %s, want %s", s.KeyID, first)
		}
		// The old version goes; who followed does not need it.
		w.vault.change(func() { w.vault.keys["k1"].versions[0].disabled = true })
		tick()
		w.wantState(follows, keyring.Usable, "")
		w.wantState(stays, keyring.Locked, keyring.KeyDisabled)

		// A newer version that cannot be used is not followed; it is when it can.
		third := w.vault.add("k1")
		w.vault.change(func() { w.vault.newest("k1").disabled = true })
		tick()
		w.wantState(follows, keyring.Usable, "")
		if s := w.status(follows); s.KeyID != second {
			t.Errorf("followed to %s, which is disabled", s.KeyID)
		}
		w.vault.change(func() { w.vault.newest("k1").disabled = false })
		tick()
		if s := w.status(follows); s.KeyID != third {
			t.Errorf("versionless: %s, want %s", s.KeyID, third)
		}
	})
}

func TestVersionlessMovesWhileTheOldVersionIsShut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.run()
		tick()
		// Between two checks the owner makes a version and shuts the one before.
		second := w.vault.add("k1")
		w.vault.change(func() { w.vault.keys["k1"].versions[0].disabled = true })
		tick()
		w.wantState(space, keyring.Usable, "")
		if s := w.status(space); s.KeyID != second {
			t.Errorf("uses %s, want %s", s.KeyID, second)
		}
	})
}

func TestChangeOfHands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx := context.Background()
		space := w.create(keyring.Custody{})
		for i := range 200 {
			w.must(w.write(space, fmt.Sprintf("j%d", i), "secret"))
		}
		w.run()
		for turn, c := range []keyring.Custody{customer(keyID), {}, customer(keyID)} {
			w.must(w.ring.Change(ctx, space, c, nil))
			if s := w.status(space); s.Resealing == nil || s.Generation != uint32(turn+2) || s.Custody != c {
				t.Fatalf("change %d: %+v", turn, s)
			}
			// The account is used meanwhile.
			w.must(w.write(space, fmt.Sprintf("during %d", turn), "new"))
			if s, err := w.read(space, "J7"); err != nil || s != "secret" {
				t.Fatalf("read during change %d = %q, %v", turn, s, err)
			}
			if err := w.write(space, "j8", "again"); !errors.Is(err, store.ErrExists) {
				t.Fatalf("second j8 during change %d = %v, want %v", turn, err, store.ErrExists)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if s := w.status(space); s.Resealing != nil {
				t.Fatalf("change %d is not done: %+v", turn, s.Resealing)
			}
			for i := range 200 {
				if s, err := w.read(space, fmt.Sprintf("j%d", i)); err != nil || s != "secret" {
					t.Fatalf("read behind change %d = %q, %v", turn, s, err)
				}
			}
			if s, err := w.read(space, fmt.Sprintf("during %d", turn)); err != nil || s != "new" {
				t.Fatalf("read behind change %d = %q, %v", turn, s, err)
			}
		}
		w.restart()
		w.run()
		tick()
		if s, err := w.read(space, "j199"); err != nil || s != "secret" {
			t.Errorf("read after a restart = %q, %v", s, err)
		}
	})
}

func TestChangeOfHandsGoesOnAfterALockAndARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx := context.Background()
		space := w.create(keyring.Custody{})
		for i := range 100 {
			w.must(w.write(space, fmt.Sprintf("j%d", i), "secret"))
		}
		// The ring does not run: the change is written and nothing is sealed anew.
		w.must(w.ring.Change(ctx, space, customer(keyID), nil))
		w.must(w.write(space, "between", "x"))
		w.restart()
		w.vault.change(func() { w.vault.newest("k1").disabled = true })
		w.run()
		tick()
		w.wantState(space, keyring.Locked, keyring.KeyDisabled)
		if s := w.status(space); s.Resealing == nil {
			t.Fatal("a locked account was sealed anew")
		}
		w.vault.change(func() { w.vault.newest("k1").disabled = false })
		tick()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := w.status(space); s.Resealing != nil || s.State != keyring.Usable {
			t.Fatalf("not done: %+v", s)
		}
		for _, name := range []string{"j0", "j99", "between"} {
			if _, err := w.read(space, name); err != nil {
				t.Errorf("read %s: %v", name, err)
			}
		}
	})
}

// Two transactions over the moment of a change of hands must not both get a name.
func TestChangeOfHandsKeepsNamesUnique(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := context.Background()
	space := w.create(keyring.Custody{})
	w.run()
	begun, goOn := make(chan struct{}), make(chan struct{})
	early := make(chan error, 1)
	go func() {
		first := true
		early <- w.store.Update(ctx, space, func(tx *store.Tx) error {
			if _, err := tx.Insert(store.KindJob, store.RID{}, "j1", store.Clear{}, "early"); err != nil {
				return err
			}
			if first {
				first = false
				close(begun)
				<-goOn
			}
			return nil
		})
	}()
	<-begun
	w.must(w.ring.Change(ctx, space, customer(keyID), nil))
	late := w.write(space, "j1", "late")
	close(goOn)
	first := <-early
	if (first == nil) == (late == nil) {
		t.Errorf("early: %v, late: %v; want exactly one to get the name", first, late)
	}
	for w.status(space).Resealing != nil {
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := w.read(space, "j1"); err != nil {
		t.Error(err)
	}
}

func TestRefusedChangeChangesNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		id     string
		reason keyring.Reason
		says   string
		set    func(v *rogue)
	}{
		"identity does not exist":    {"", keyring.IdentityNotFound, me, func(v *rogue) { v.identity = false }},
		"vault unreachable":          {"", keyring.VaultUnreachable, "cannot be reached (it answers 503)", func(v *rogue) { v.status = 503 }},
		"vault silent":               {"", keyring.VaultUnreachable, "does not answer in time", func(v *rogue) { v.fail = context.DeadlineExceeded }},
		"vault does not exist":       {"", keyring.VaultNotFound, "v1.vault.azure.net does not exist", func(v *rogue) { v.gone = true }},
		"vault in another tenant":    {"", keyring.TenantMismatch, "same tenant", func(v *rogue) { v.tenant = "22222222-2222-2222-2222-222222222222" }},
		"challenge without a tenant": {"", keyring.VaultRefused, "names no authority", func(v *rogue) { v.challenge = `Bearer authorization="x", resource="https://vault.azure.net"` }},
		"challenge of nothing":       {"", keyring.VaultRefused, "names no authority", func(v *rogue) { v.challenge = "Bearer" }},
		"soft delete off":            {"", keyring.SoftDeleteOff, "Soft delete", func(v *rogue) { v.level = "Purgeable" }},
		"purge protection off":       {"", keyring.PurgeProtectionOff, "Purge protection", func(v *rogue) { v.level = "Recoverable+Purgeable" }},
		"get missing":                {"", keyring.PermissionMissing, ": get. Grant", func(v *rogue) { v.grants["get"] = false }},
		"wrapKey missing":            {"", keyring.PermissionMissing, ": wrapKey. Grant", func(v *rogue) { v.grants["wrapKey"] = false }},
		"unwrapKey missing":          {"", keyring.PermissionMissing, ": unwrapKey. Grant", func(v *rogue) { v.grants["unwrapKey"] = false }},
		"two missing":                {"", keyring.PermissionMissing, ": wrapKey, unwrapKey. Grant", func(v *rogue) { v.grants["wrapKey"], v.grants["unwrapKey"] = false, false }},
		"all missing":                {"", keyring.PermissionMissing, ": get, wrapKey, unwrapKey. Grant", func(v *rogue) { clear(v.grants) }},
		"key does not exist":         {"https://" + host + "/keys/other", keyring.KeyNotFound, "/keys/other does not exist", nil},
		"version does not exist":     {keyID + "/00000000000000000000000000000009", keyring.KeyNotFound, "does not exist", nil},
		"key deleted":                {"", keyring.KeyDeleted, "deleted", func(v *rogue) { v.keys["k2"].deleted = true }},
		"EC key":                     {"", keyring.KeyTypeNotSupported, "of type EC. Only RSA", func(v *rogue) { v.newest("k2").kty = "EC" }},
		"1024 bits":                  {"", keyring.KeySizeNotSupported, "has 1024 bits", func(v *rogue) { v.newest("k2").key = smallKey() }},
		"key disabled":               {"", keyring.KeyDisabled, "is disabled", func(v *rogue) { v.newest("k2").disabled = true }},
		"key expired":                {"", keyring.KeyExpired, "its expiration date was 1999-", func(v *rogue) { v.newest("k2").exp = time.Now().Add(-time.Hour).Unix() }},
		"key not yet valid":          {"", keyring.KeyNotYetValid, "its activation date is 2000-", func(v *rogue) { v.newest("k2").nbf = time.Now().Add(time.Hour).Unix() }},
		"wrapKey not permitted":      {"", keyring.OperationNotAllowed, ": wrapKey. Permit", func(v *rogue) { v.newest("k2").ops = []string{"unwrapKey"} }},
		"neither permitted":          {"", keyring.OperationNotAllowed, ": wrapKey, unwrapKey. Permit", func(v *rogue) { v.newest("k2").ops = nil }},
		"round trip fails":           {"", keyring.KeyMismatch, "other bytes", func(v *rogue) { v.swap = true }},
		"not https":                  {"http://" + host + "/keys/k2", keyring.KeyIDInvalid, "https://", nil},
		"a secret":                   {"https://" + host + "/secrets/k2", keyring.KeyIDInvalid, "does not name a key", nil},
		"another host":               {"https://example.com/keys/k2", keyring.KeyIDInvalid, "not in a key vault", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := setup(t)
				ctx := context.Background()
				w.vault.add("k2")
				mine, theirs := w.create(keyring.Custody{}), w.create(customer(keyID))
				w.must(w.write(mine, "j1", "secret"))
				beforeMine, beforeTheirs := w.status(mine), w.status(theirs)
				rows := w.rows(store.Space{})
				if test.set != nil {
					w.vault.change(func() { test.set(w.vault) })
				}
				id := test.id
				if id == "" {
					id = "https://" + host + "/keys/k2"
				}
				fresh := store.NewSpace()
				for what, err := range map[string]error{
					"Verify":          w.ring.Verify(ctx, customer(id)),
					"Create":          w.ring.Create(ctx, fresh, customer(id), nil),
					"Change of hands": w.ring.Change(ctx, mine, customer(id), nil),
					"Change of key":   w.ring.Change(ctx, theirs, customer(id), nil),
				} {
					f, ok := fault.From(err)
					if !ok || f.Code != fault.KeyRefused {
						t.Fatalf("%s = %v, want %v", what, err, fault.KeyRefused)
					}
					if f.Details[0].Value != string(test.reason) || !strings.Contains(f.Message, test.says) || strings.Contains(f.Message, "{") {
						t.Errorf("%s = %v (%s), want %s and %q", what, err, f.Details[0].Value, test.reason, test.says)
					}
				}
				if got := w.status(mine); fmt.Sprint(got) != fmt.Sprint(beforeMine) {
					t.Errorf("status = %+v, want %+v", got, beforeMine)
				}
				if got := w.status(theirs); fmt.Sprint(got) != fmt.Sprint(beforeTheirs) {
					t.Errorf("status = %+v, want %+v", got, beforeTheirs)
				}
				if !bytes.Equal(w.rows(store.Space{}), rows) {
					t.Error("a refused change wrote something")
				}
				if _, err := w.ring.Status(fresh); !errors.Is(err, fault.AccountNotFound) {
					t.Errorf("a refused account: %v, want %v", err, fault.AccountNotFound)
				}
			})
		})
	}
}

func TestDestroyNeedsNoVault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx := context.Background()
		space := w.create(customer(keyID))
		w.must(w.write(space, "j1", "secret"))
		w.run()
		w.vault.change(func() { w.vault.fail = context.DeadlineExceeded })
		tick()
		w.must(w.ring.Destroy(ctx, space, nil))
		if _, err := w.read(space, "j1"); !errors.Is(err, fault.AccountNotFound) {
			t.Errorf("read = %v, want %v", err, fault.AccountNotFound)
		}
		w.restart()
		if _, err := w.read(space, "j1"); !errors.Is(err, fault.AccountNotFound) {
			t.Errorf("read after a restart = %v, want %v", err, fault.AccountNotFound)
		}
		w.must(w.ring.Destroy(ctx, space, nil))
	})
}

func TestChangeWhileLocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.run()
		w.vault.add("k2")
		w.vault.change(func() { w.vault.keys["k1"].deleted = true })
		tick()
		for _, c := range []keyring.Custody{{}, customer("https://" + host + "/keys/k2")} {
			if err := w.ring.Change(context.Background(), space, c, nil); !errors.Is(err, fault.KeyUnavailable) {
				t.Errorf("Change to %v = %v, want %v", c, err, fault.KeyUnavailable)
			}
		}
	})
}

// TestChangeAsksTheOwnerOnceMore: what is in memory would be enough to take an account
// away from an owner who has said no since the last check.
func TestChangeAsksTheOwnerOnceMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]keyring.Custody{"the platform": {}, "another key": customer("https://" + host + "/keys/k2")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := setup(t)
				space := w.create(customer(keyID))
				w.vault.add("k2")
				w.vault.change(func() { w.vault.keys["k1"].deleted = true })
				if err := w.ring.Change(t.Context(), space, c, nil); !errors.Is(err, fault.KeyUnavailable) {
					t.Errorf("Change = %v, want %v", err, fault.KeyUnavailable)
				}
				w.wantState(space, keyring.Locked, keyring.KeyDeleted)
				if now := w.status(space).Custody; now != customer(keyID) {
					t.Errorf("custody = %v", now)
				}
				w.vault.change(func() { w.vault.keys["k1"].deleted = false })
				w.run()
				tick()
				w.wantState(space, keyring.Usable, "")
				w.must(w.ring.Change(t.Context(), space, c, nil))
			})
		})
	}
}

// TestABrokenOffDestroyLeavesNoAccountUnasked: a caller that goes away while it waits
// must not leave an account that is usable for ever.
func TestABrokenOffDestroyLeavesNoAccountUnasked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.must(w.write(space, "j1", "secret"))
		w.run()
		gone, cancel := context.WithCancel(t.Context())
		// A change is at work, and waits until the caller of Destroy has gone.
		changing := make(chan error)
		go func() {
			changing <- w.ring.Change(t.Context(), space, customer(keyID), func(*store.Tx) error {
				time.Sleep(time.Second)
				return nil
			})
		}()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		time.AfterFunc(time.Millisecond, cancel)
		if err := w.ring.Destroy(gone, space, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("Destroy = %v, want %v", err, context.Canceled)
		}
		w.must(<-changing)
		if got, err := w.read(space, "j1"); err != nil || got != "secret" {
			t.Errorf("after that: read %q, %v", got, err)
		}
		w.vault.change(func() { clear(w.vault.grants) })
		tick()
		if _, err := w.read(space, "j1"); !errors.Is(err, fault.KeyUnavailable) {
			t.Errorf("with the key revoked: %v, want %v", err, fault.KeyUnavailable)
		}
	})
}
