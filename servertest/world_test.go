package servertest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"latchkey/client"
	"latchkey/servertest"
)

const (
	groupsVersion  = "api-version=2021-04-01"
	batchVersion   = "api-version=2024-07-01"
	vaultsVersion  = "api-version=2023-07-01"
	keysVersion    = "api-version=7.4"
	dataVersion    = "api-version=2024-07-01.20.0"
	management     = "https://management.azure.com"
	refused        = "CustomerManagedKeyUnavailable"
	wrapKeyAndSoOn = "get wrapKey unwrapKey"
)

// A world is a service with one account in it, as most tests need.
type world struct {
	*servertest.Service
	t testing.TB
	// group, account and vault are resource ids, data and keys the addresses of the
	// account's and the vault's data planes.
	group, account, vault string
	data, keys            string
	principal             string
}

// newWorld starts a service with an account that has a system-assigned identity and
// the platform's key.
func newWorld(t testing.TB) *world {
	t.Helper()
	return settle(t, servertest.Start(t, t.TempDir()))
}

func settle(t testing.TB, service *servertest.Service) *world {
	t.Helper()
	w := &world{Service: service, t: t}
	name := fmt.Sprintf("acct%08d", rand.N(100_000_000))
	w.group = "/subscriptions/" + service.SubscriptionID + "/resourceGroups/g1"
	w.account = w.group + "/providers/Microsoft.Batch/batchAccounts/" + name
	w.vault = w.group + "/providers/Microsoft.KeyVault/vaults/v" + name
	w.data = "https://" + name + ".westus2.batch.azure.com"
	w.keys = "https://v" + name + ".vault.azure.net"
	w.must(http.MethodPut, management+w.group+"?"+groupsVersion, object{"location": "westus2"}, nil)
	var account struct {
		Identity   struct{ PrincipalID string }
		Properties struct{ AccountEndpoint string }
	}
	w.must(http.MethodPut, management+w.account+"?"+batchVersion,
		object{"location": "westus2", "identity": object{"type": "SystemAssigned"}}, &account)
	w.principal = account.Identity.PrincipalID
	if got, want := "https://"+account.Properties.AccountEndpoint, w.data; got != want {
		t.Fatalf("accountEndpoint = %q, want %q", got, want)
	}
	return w
}

type object = map[string]any

// must makes a call that has to succeed.
func (w *world) must(method, url string, in, out any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.Call(ctx, method, url, in, out); err != nil {
		w.t.Fatal(err)
	}
}

// fails makes a call that must be refused with a code.
func (w *world) fails(code, method, url string, in any) {
	w.t.Helper()
	err := w.Call(context.Background(), method, url, in, nil)
	var said *client.Error
	if !errors.As(err, &said) || said.Code != code {
		w.t.Fatalf("%s %s = %v, want %s", method, url, err, code)
	}
}

// data makes a call to the account's data plane that has to succeed.
func (w *world) batch(method, path string, in, out any) {
	w.t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	w.must(method, w.data+path+sep+dataVersion, in, out)
}

// makeVault makes a vault with purge protection, lets the account's identity use it,
// and returns the identifier of a new key.
func (w *world) makeVault() (keyID string) {
	w.t.Helper()
	w.must(http.MethodPut, management+w.vault+"?"+vaultsVersion, object{"location": "westus2", "properties": object{
		"tenantId": w.TenantID, "sku": object{"family": "A", "name": "standard"},
		"enablePurgeProtection": true,
		"accessPolicies": []object{
			w.policy(w.me(), "get list create update delete recover purge"),
			w.policy(w.principal, wrapKeyAndSoOn),
		},
	}}, nil)
	return w.makeKey("k1")
}

func (w *world) policy(principal, permissions string) object {
	return object{"tenantId": w.TenantID, "objectId": principal, "permissions": object{"keys": strings.Fields(permissions)}}
}

// me returns the object id of the caller.
func (w *world) me() string {
	w.t.Helper()
	var found struct{ Value []struct{ ID string } }
	w.must(http.MethodGet, "https://graph.microsoft.com/v1.0/servicePrincipals?$filter=appId%20eq%20'"+w.ClientID+"'", nil, &found)
	if len(found.Value) != 1 {
		w.t.Fatalf("the directory knows %d principals with our client id, want 1", len(found.Value))
	}
	return found.Value[0].ID
}

// makeKey makes a new key, or a new version of it, and returns its identifier.
func (w *world) makeKey(name string) string {
	w.t.Helper()
	var key struct{ Key struct{ KID string } }
	w.must(http.MethodPost, w.keys+"/keys/"+name+"/create?"+keysVersion, object{"kty": "RSA", "key_size": 2048}, &key)
	return key.Key.KID
}

// useKey puts the account under a customer's key.
func (w *world) useKey(keyID string) {
	w.t.Helper()
	w.must(http.MethodPatch, management+w.account+"?"+batchVersion, object{"properties": object{"encryption": object{
		"keySource": "Microsoft.KeyVault", "keyVaultProperties": object{"keyIdentifier": keyID},
	}}}, nil)
}

// revoke takes the account's access to the vault away, allow gives it back.
func (w *world) revoke() { w.t.Helper(); w.setPolicy("remove", "") }
func (w *world) allow()  { w.t.Helper(); w.setPolicy("add", wrapKeyAndSoOn) }

func (w *world) setPolicy(change, permissions string) {
	w.t.Helper()
	w.must(http.MethodPut, management+w.vault+"/accessPolicies/"+change+"?"+vaultsVersion, object{"properties": object{
		"accessPolicies": []object{w.policy(w.principal, permissions)},
	}}, nil)
}

// makePool makes a pool and waits until its nodes are idle.
func (w *world) makePool(id string, nodes, slots int) {
	w.t.Helper()
	w.batch(http.MethodPost, "/pools", object{
		"id": id, "vmSize": "standard_d2s_v3", "targetDedicatedNodes": nodes, "taskSlotsPerNode": slots,
		"virtualMachineConfiguration": object{
			"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
			"nodeAgentSKUId": "batch.node.ubuntu 24.04",
		},
	}, nil)
	w.eventually("idle nodes in "+id, func() bool { return w.nodes(id)["idle"] == nodes })
}

// nodes counts a pool's nodes by state.
func (w *world) nodes(pool string) map[string]int {
	var list struct{ Value []struct{ State string } }
	if err := w.Call(context.Background(), http.MethodGet, w.data+"/pools/"+pool+"/nodes?"+dataVersion, nil, &list); err != nil {
		return nil
	}
	counts := map[string]int{}
	for _, n := range list.Value {
		counts[n.State]++
	}
	return counts
}

func (w *world) makeJob(id, pool string) {
	w.t.Helper()
	w.batch(http.MethodPost, "/jobs", object{"id": id, "poolInfo": object{"poolId": pool}}, nil)
}

// addTasks adds tasks in hundreds; each command line is sprintf'ed with its number.
func (w *world) addTasks(job, prefix, command string, from, n int) {
	w.t.Helper()
	for at := from; at < from+n; at += 100 {
		var tasks []object
		for i := at; i < min(at+100, from+n); i++ {
			line := command
			if strings.Contains(line, "%d") {
				line = fmt.Sprintf(command, i)
			}
			tasks = append(tasks, object{"id": fmt.Sprintf("%s%d", prefix, i), "commandLine": line})
		}
		var added struct {
			Value []struct{ Status, TaskID string }
		}
		w.batch(http.MethodPost, "/jobs/"+job+"/addtaskcollection", object{"value": tasks}, &added)
		for _, a := range added.Value {
			if a.Status != "success" {
				w.t.Fatalf("adding task %s: %s", a.TaskID, a.Status)
			}
		}
	}
}

type counts struct{ Active, Running, Completed, Succeeded, Failed int }

func (w *world) counts(job string) counts {
	var c struct{ TaskCounts counts }
	if err := w.Call(context.Background(), http.MethodGet, w.data+"/jobs/"+job+"/taskcounts?"+dataVersion, nil, &c); err != nil {
		return counts{}
	}
	return c.TaskCounts
}

// keyStatus is what the management view says of a customer's key.
type keyStatus struct {
	State, Reason, Message string
	KeyVersionsNeeded      []string
	Nodes, Tasks           map[string]int
}

func (w *world) keyStatus() keyStatus {
	w.t.Helper()
	var account struct{ Properties struct{ KeyStatus keyStatus } }
	w.must(http.MethodGet, management+w.account+"?"+batchVersion, nil, &account)
	return account.Properties.KeyStatus
}

// eventually waits until something is true.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after 60 s still not so: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
