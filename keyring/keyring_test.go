package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"latchkey/fault"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
)

const keyID = "https://" + host + "/keys/k1"

// world is a ring over a real store and a rogue vault.
type world struct {
	t      *testing.T
	vault  *rogue
	driver *store.Pebble
	store  *store.Store
	ring   *keyring.Ring

	mu      sync.Mutex
	changes []string
}

func setup(t *testing.T) *world {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, vault: newRogue(), driver: driver}
	w.restart()
	return w
}

// restart makes a new ring over what is stored, as a new process would.
func (w *world) restart() {
	w.t.Helper()
	w.ring = keyring.New(keyring.Config{
		Platform:   bytes.Repeat([]byte{7}, 32),
		Cloud:      resource.Azure(),
		Tenant:     func() string { return ourTenant },
		Credential: func(string, string) azcore.TokenCredential { return credential{w.vault} },
		HTTP:       w.vault.client(),
	})
	w.ring.OnChange(func(_ store.Space, locked bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, map[bool]string{true: "locked", false: "opened"}[locked])
	})
	w.store = store.New(w.driver, w.ring)
	if err := w.ring.Load(context.Background(), w.store); err != nil {
		w.t.Fatal(err)
	}
}

// run runs the ring until the test (or stop) ends it.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.ring.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	w.t.Cleanup(stop)
	return stop
}

func customer(id string) keyring.Custody {
	return keyring.Custody{KeyID: id, Identity: me, Principal: "p1"}
}

func (w *world) create(c keyring.Custody) store.Space {
	w.t.Helper()
	space := store.NewSpace()
	if err := w.ring.Create(context.Background(), space, c, nil); err != nil {
		w.t.Fatalf("Create: %v", err)
	}
	return space
}

func (w *world) write(space store.Space, name, value string) error {
	return w.store.Update(context.Background(), space, func(tx *store.Tx) error {
		_, err := tx.Insert(store.KindJob, store.RID{}, name, store.Clear{State: 1}, value)
		return err
	})
}

func (w *world) read(space store.Space, name string) (s string, err error) {
	err = w.store.View(context.Background(), space, func(tx *store.Tx) error {
		r, err := tx.Lookup(store.KindJob, store.RID{}, name)
		if err != nil {
			return err
		}
		return r.Decode(&s)
	})
	return s, err
}

func (w *world) status(space store.Space) keyring.Status {
	w.t.Helper()
	s, err := w.ring.Status(space)
	if err != nil {
		w.t.Fatalf("Status: %v", err)
	}
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantState(space store.Space, want keyring.State, reason keyring.Reason) {
	w.t.Helper()
	if s := w.status(space); s.State != want || s.Reason != reason {
		w.t.Fatalf("state = %s %s (%s), want %s %s", s.State, s.Reason, s.Message, want, reason)
	}
}

// tick lets one check of every account happen, jitter included.
func tick() {
	time.Sleep(13 * time.Second)
	synctest.Wait()
}

func TestEveryRefusalLocksAtOnceAndItsEndOpens(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason     keyring.Reason
		says       string
		take, give func(v *rogue)
	}{
		"permission get": {
			keyring.PermissionMissing, ": get. Grant",
			func(v *rogue) { v.grants["get"] = false }, func(v *rogue) { v.grants["get"] = true },
		},
		"permission wrapKey": {
			keyring.PermissionMissing, ": wrapKey. Grant",
			func(v *rogue) { v.grants["wrapKey"] = false }, func(v *rogue) { v.grants["wrapKey"] = true },
		},
		"permission unwrapKey": {
			keyring.PermissionMissing, ": unwrapKey. Grant",
			func(v *rogue) { v.grants["unwrapKey"] = false }, func(v *rogue) { v.grants["unwrapKey"] = true },
		},
		"whole policy": {
			keyring.PermissionMissing, "get, wrapKey, unwrapKey",
			func(v *rogue) { clear(v.grants) },
			func(v *rogue) { v.grants["get"], v.grants["wrapKey"], v.grants["unwrapKey"] = true, true, true },
		},
		"key disabled": {
			keyring.KeyDisabled, "Enable it",
			func(v *rogue) { v.newest("k1").disabled = true }, func(v *rogue) { v.newest("k1").disabled = false },
		},
		"key expired": {
			keyring.KeyExpired, "has expired",
			func(v *rogue) { v.newest("k1").exp = time.Now().Unix() }, func(v *rogue) { v.newest("k1").exp = 0 },
		},
		"key not yet valid": {
			keyring.KeyNotYetValid, "activation date",
			func(v *rogue) { v.newest("k1").nbf = time.Now().Add(time.Hour).Unix() }, func(v *rogue) { v.newest("k1").nbf = 0 },
		},
		"key deleted": {
			keyring.KeyDeleted, "Recover it",
			func(v *rogue) { v.keys["k1"].deleted = true }, func(v *rogue) { v.keys["k1"].deleted = false },
		},
		"key missing": {
			keyring.KeyNotFound, "does not exist in its vault",
			func(v *rogue) { v.keys["k2"] = v.keys["k1"]; delete(v.keys, "k1") }, func(v *rogue) { v.keys["k1"] = v.keys["k2"] },
		},
		": unwrapKey. Permit": {
			keyring.OperationNotAllowed, ": unwrapKey. Permit",
			func(v *rogue) { v.newest("k1").ops = []string{"wrapKey"} }, func(v *rogue) { v.newest("k1").ops = []string{"wrapKey", "unwrapKey"} },
		},
		"vault deleted": {
			keyring.VaultNotFound, "does not exist",
			func(v *rogue) { v.gone = true }, func(v *rogue) { v.gone = false },
		},
		"soft delete off": {
			keyring.SoftDeleteOff, "Soft delete",
			func(v *rogue) { v.level = "Purgeable" }, func(v *rogue) { v.level = "Recoverable" },
		},
		"purge protection off": {
			keyring.PurgeProtectionOff, "Purge protection",
			func(v *rogue) { v.level = "Recoverable+Purgeable" }, func(v *rogue) { v.level = "CustomizedRecoverable" },
		},
		"identity gone": {
			keyring.IdentityNotFound, "managed identity " + me,
			func(v *rogue) { v.identity = false }, func(v *rogue) { v.identity = true },
		},
		"another tenant": {
			keyring.TenantMismatch, "same tenant",
			func(v *rogue) {
				v.tenant = "22222222-2222-2222-2222-222222222222"
				v.status = 0
				v.forbidden = "AccessDenied"
			},
			func(v *rogue) { v.tenant, v.forbidden = ourTenant, "" },
		},
		"firewall": {
			keyring.NetworkDenied, "firewall",
			func(v *rogue) { v.forbidden = "ForbiddenByFirewall" }, func(v *rogue) { v.forbidden = "" },
		},
		"token refused": {
			keyring.VaultRefused, "does not accept",
			func(v *rogue) { v.status = 401 }, func(v *rogue) { v.status = 0 },
		},
		"other bytes come back": {
			keyring.KeyMismatch, "does not open",
			func(v *rogue) { v.swap = true }, func(v *rogue) { v.swap = false },
		},
		"other key under the same version": {
			keyring.KeyMismatch, "does not open",
			func(v *rogue) { v.newest("k1").key = testKeys[2] }, func(v *rogue) { v.newest("k1").key = testKeys[0] },
		},
		"key of another kind": {
			keyring.KeyTypeNotSupported, "of type EC",
			func(v *rogue) { v.newest("k1").kty = "EC" }, func(v *rogue) { v.newest("k1").kty = "RSA" },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := setup(t)
				space := w.create(customer(keyID))
				w.must(w.write(space, "j1", "secret"))
				w.run()
				tick()
				w.wantState(space, keyring.Usable, "")

				w.vault.change(func() { test.take(w.vault) })
				tick()
				w.wantState(space, keyring.Locked, test.reason)
				s := w.status(space)
				if !strings.Contains(s.Message, test.says) {
					t.Errorf("message = %q, want it to say %q", s.Message, test.says)
				}
				if strings.Contains(s.Message, "{") {
					t.Errorf("message = %q, not filled in", s.Message)
				}
				_, err := w.read(space, "j1")
				f, _ := fault.From(err)
				if !errors.Is(err, fault.KeyUnavailable) || !strings.Contains(f.Message, test.says) {
					t.Errorf("read = %v, want %v saying %q", err, fault.KeyUnavailable, test.says)
				}
				var details []string
				for _, d := range f.Details {
					details = append(details, d.Key)
				}
				if got := fmt.Sprint(details); got != "[reason since key]" {
					t.Errorf("details = %s", got)
				}

				w.vault.change(func() { test.give(w.vault) })
				tick()
				w.wantState(space, keyring.Usable, "")
				if got, err := w.read(space, "j1"); err != nil || got != "secret" {
					t.Errorf("read = %q, %v", got, err)
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				if got := fmt.Sprint(w.changes); got != "[locked opened]" {
					t.Errorf("changes = %s, want [locked opened]", got)
				}
			})
		})
	}
}

func TestOneSlipDoesNotLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.run()
		tick()
		for range 5 {
			w.vault.change(func() { w.vault.slips = 1 })
			tick()
			w.wantState(space, keyring.Usable, "")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.changes) != 0 {
			t.Errorf("changes = %v, want none", w.changes)
		}
	})
}

func TestOutageIsNoRefusal(t *testing.T) {
	t.Parallel()
	tests := map[string]func(v *rogue){
		"connection refused": func(v *rogue) { v.fail = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} },
		"name unknown":       func(v *rogue) { v.fail = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true} },
		"no answer":          func(v *rogue) { v.fail = context.DeadlineExceeded },
		"500":                func(v *rogue) { v.status = 500 },
		"503":                func(v *rogue) { v.status = 503 },
		"429":                func(v *rogue) { v.status = 429 },
		"302":                func(v *rogue) { v.status = 302 },
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := setup(t)
				space := w.create(customer(keyID))
				w.must(w.write(space, "j1", "secret"))
				w.run()
				tick()
				w.vault.change(func() { fail(w.vault) })
				began := time.Now()
				tick()
				time.Sleep(10 * time.Second)
				w.wantState(space, keyring.Warning, keyring.VaultUnreachable)
				if s, err := w.read(space, "j1"); err != nil || s != "secret" {
					t.Fatalf("read during an outage = %q, %v", s, err)
				}
				time.Sleep(14 * time.Minute)
				w.wantState(space, keyring.Warning, keyring.VaultUnreachable)
				time.Sleep(90 * time.Second)
				synctest.Wait()
				w.wantState(space, keyring.Locked, keyring.VaultUnreachable)
				if since := w.status(space).Since.Sub(began); since < 15*time.Minute || since > 15*time.Minute+30*time.Second {
					t.Errorf("locked after %v, want about 15m", since)
				}
				w.vault.change(func() { w.vault.fail, w.vault.status = nil, 0 })
				time.Sleep(40 * time.Second)
				synctest.Wait()
				w.wantState(space, keyring.Usable, "")
			})
		})
	}
}

func TestShortOutageLeavesNoTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.run()
		w.vault.change(func() { w.vault.status = 503 })
		time.Sleep(10 * time.Minute)
		w.vault.change(func() { w.vault.status = 0 })
		time.Sleep(40 * time.Second)
		w.wantState(space, keyring.Usable, "")
		// The grace begins anew.
		w.vault.change(func() { w.vault.status = 503 })
		time.Sleep(10 * time.Minute)
		w.wantState(space, keyring.Warning, keyring.VaultUnreachable)
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.changes) != 0 {
			t.Errorf("changes = %v, want none", w.changes)
		}
	})
}

func TestNudgeAsksAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.run()
		tick()
		w.vault.change(func() { clear(w.vault.grants) })
		began := time.Now()
		w.ring.Nudge("other.vault.azure.net")
		synctest.Wait()
		w.wantState(space, keyring.Usable, "")
		w.ring.Nudge("V1.vault.azure.net:443")
		synctest.Wait()
		w.wantState(space, keyring.Locked, keyring.PermissionMissing)
		w.vault.change(func() { w.vault.grants = map[string]bool{"get": true, "wrapKey": true, "unwrapKey": true} })
		w.ring.NudgeIdentity("P1")
		synctest.Wait()
		w.wantState(space, keyring.Usable, "")
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v, want no time", took)
		}
	})
}

func TestStartAsksBeforeItOpens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		mine, theirs := w.create(keyring.Custody{}), w.create(customer(keyID))
		w.must(w.write(mine, "j1", "a"))
		w.must(w.write(theirs, "j1", "b"))
		w.restart()
		if s, err := w.read(mine, "j1"); err != nil || s != "a" {
			t.Errorf("platform key: read = %q, %v", s, err)
		}
		_, err := w.read(theirs, "j1")
		if f, _ := fault.From(err); !errors.Is(err, fault.KeyUnavailable) || f.RetryAfter == 0 {
			t.Errorf("before the first answer: %v, want %v with a time to come back", err, fault.KeyUnavailable)
		}
		w.wantState(theirs, keyring.Locked, keyring.Starting)
		w.run()
		// A transaction waits for the first answer.
		if s, err := w.read(theirs, "j1"); err != nil || s != "b" {
			t.Errorf("customer's key: read = %q, %v", s, err)
		}

		w.vault.change(func() { w.vault.status = 503 })
		w.restart()
		w.run()
		synctest.Wait()
		w.wantState(theirs, keyring.Locked, keyring.VaultUnreachable)
		w.vault.change(func() { w.vault.status = 0 })
		tick()
		w.wantState(theirs, keyring.Usable, "")
	})
}

func TestLockInTheMiddleOfATransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		space := w.create(customer(keyID))
		w.run()
		err := w.store.Update(context.Background(), space, func(tx *store.Tx) error {
			w.vault.change(func() { clear(w.vault.grants) })
			tick()
			_, err := tx.Insert(store.KindJob, store.RID{}, "j1", store.Clear{}, "x")
			return err
		})
		if !errors.Is(err, fault.KeyUnavailable) {
			t.Errorf("Update = %v, want %v", err, fault.KeyUnavailable)
		}
	})
}
