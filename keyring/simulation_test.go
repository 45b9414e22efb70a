package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/fault"
	"latchkey/keyring"
	"latchkey/store"
)

// Writers write while an owner does everything that an owner can do, and the service
// is started again now and then. What was acknowledged is there at the end, once.
func TestOwnersDoAsTheyLikeAndNothingIsLost(t *testing.T) {
	t.Parallel()
	for range 2 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { simulate(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func simulate(t *testing.T, random *rand.Rand) {
	w := setup(t)
	ctx := context.Background()
	space := w.create(customer(keyID))
	w.vault.add("k2")
	stop := w.run()

	var mu sync.Mutex // guards written
	written := map[string]bool{}
	var end chan struct{}
	var writers sync.WaitGroup
	begin := func(life int) {
		end = make(chan struct{})
		for i := range 3 {
			writers.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-end:
						return
					case <-time.After(time.Second):
					}
					name := fmt.Sprintf("record %d-%d-%d", life, i, n)
					err := w.write(space, name, name)
					switch {
					case err == nil:
						mu.Lock()
						written[name] = true
						mu.Unlock()
					case !errors.Is(err, fault.KeyUnavailable) && !errors.Is(err, fault.ServerBusy):
						t.Errorf("write: %v", err)
						return
					}
				}
			})
		}
	}
	begin(0)

	restore := func() {
		w.vault.change(func() {
			v := w.vault
			v.grants = map[string]bool{"get": true, "wrapKey": true, "unwrapKey": true}
			v.status, v.identity = 0, true
			for _, k := range v.keys {
				k.deleted = false
				for _, version := range k.versions {
					version.disabled = false
				}
			}
		})
	}
	custodies := []keyring.Custody{{}, customer(keyID), customer("https://" + host + "/keys/k2"), customer("https://v2.vault.azure.net/keys/k1")}
	deeds := []func(){
		func() { w.vault.change(func() { clear(w.vault.grants) }) },
		func() { w.vault.change(func() { w.vault.newest("k1").disabled = true }) },
		func() { w.vault.change(func() { w.vault.keys["k2"].deleted = true }) },
		func() { w.vault.change(func() { w.vault.identity = false }) },
		func() { w.vault.change(func() { w.vault.status = 503 }) },
		func() { w.vault.add("k1") },
		func() { w.vault.add("k2") },
		restore, restore, restore,
		func() { w.ring.Nudge(host) },
		func() {
			err := w.ring.Change(ctx, space, custodies[random.IntN(len(custodies))], nil)
			if f, ok := fault.From(err); err != nil && !ok {
				t.Errorf("Change: %v", err)
			} else if ok && f.Code != fault.KeyRefused && f.Code != fault.KeyUnavailable && f.Code != fault.Conflict && f.Code != fault.ServerBusy {
				t.Errorf("Change: %v", err)
			}
		},
	}
	// A change of custody is what does most, so it comes more often.
	for range 3 {
		deeds = append(deeds, deeds[len(deeds)-1])
	}
	for life := range 60 {
		if random.IntN(20) == 0 {
			close(end)
			writers.Wait()
			stop()
			w.restart()
			stop = w.run()
			begin(life + 1)
		} else {
			deeds[random.IntN(len(deeds))]()
		}
		time.Sleep(time.Duration(random.Int64N(int64(12 * time.Second))))
	}
	close(end)
	writers.Wait()
	restore()
	time.Sleep(5 * time.Minute)
	synctest.Wait()

	w.wantState(space, keyring.Usable, "")
	if s := w.status(space); s.Resealing != nil {
		t.Errorf("still sealing anew: %+v", s.Resealing)
	}
	for name := range written {
		if s, err := w.read(space, name); err != nil || s != name {
			t.Errorf("read %s = %q, %v", name, s, err)
		}
	}
	seen := map[string]bool{}
	w.must(w.store.View(ctx, space, func(tx *store.Tx) error {
		for r, err := range tx.Records(store.KindJob, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			if seen[r.Name] {
				t.Errorf("%s is there twice", r.Name)
			}
			seen[r.Name] = true
		}
		return nil
	}))
	if len(seen) < len(written) || len(written) == 0 {
		t.Errorf("%d records, of %d acknowledged", len(seen), len(written))
	}
	stop()
	w.restart()
	w.run()
	tick()
	w.wantState(space, keyring.Usable, "")
}
