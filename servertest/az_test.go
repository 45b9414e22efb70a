package servertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/resource"
	"latchkey/server"
	"latchkey/servertest"
)

// An azure is the real command line, started by latchkey exec as a user would.
type azure struct {
	t              *testing.T
	binary, az, at string
	data           string
}

// newAzure starts a service. LATCHKEY_AZ says where az is; `make test` sees to it.
func newAzure(t *testing.T) *azure {
	t.Helper()
	az := os.Getenv("LATCHKEY_AZ")
	if az == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LATCHKEY_AZ does not say where az is, and in CI nothing is left out")
		}
		t.Skip("LATCHKEY_AZ does not say where az is; `make test` installs it")
	}
	p := servertest.Launch(t, t.TempDir())
	binary, err := servertest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	return &azure{t: t, binary: binary, az: az, at: t.TempDir(), data: p.Data}
}

// run runs a command through latchkey exec.
func (a *azure) run(args ...string) (stdout, stderr string, status int) {
	a.t.Helper()
	c := exec.Command(a.binary, append([]string{"exec", "--data", a.data, "--"}, args...)...)
	c.Dir = a.at
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	began := time.Now()
	if e := c.Run(); e != nil && c.ProcessState == nil {
		a.t.Fatalf("running az: %v", e)
	}
	a.t.Logf("%4.1f s  az %s", time.Since(began).Seconds(), strings.Join(args[1:], " "))
	return out.String(), err.String(), c.ProcessState.ExitCode()
}

// do runs az, which must succeed, and reads what it printed into out unless that is
// nil.
func (a *azure) do(out any, args ...string) {
	a.t.Helper()
	stdout, stderr, status := a.run(append([]string{a.az}, args...)...)
	if status != 0 {
		a.t.Fatalf("az %s: exit status %d\n%s", strings.Join(args, " "), status, stderr)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(stdout), out); err != nil {
		a.t.Fatalf("az %s printed %q: %v", strings.Join(args, " "), stdout, err)
	}
}

// value runs az and returns the one value that --query picks.
func (a *azure) value(query string, args ...string) string {
	a.t.Helper()
	var v string
	a.do(&v, append(args, "--query", query)...)
	return v
}

// fails runs az, which must end with a status and say why.
func (a *azure) fails(status int, why string, args ...string) {
	a.t.Helper()
	stdout, stderr, got := a.run(append([]string{a.az}, args...)...)
	if got != status || !strings.Contains(stderr, why) {
		a.t.Errorf("az %s: exit status %d, said %q and printed %q; want %d and %q", strings.Join(args, " "), got, stderr, stdout, status, why)
	}
}

// eventually repeats a command until it has the status.
func (a *azure) eventually(status int, why string, args ...string) {
	a.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, stderr, got := a.run(append([]string{a.az}, args...)...)
		if got == status && strings.Contains(stderr, why) {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("az %s: exit status %d, said %q; want %d and %q within 30 s", strings.Join(args, " "), got, stderr, status, why)
		}
	}
}

// same compares what az printed with what it must print.
func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

type azAccount struct {
	ID, Name, Location, AccountEndpoint, ProvisioningState string
	Identity                                               struct {
		Type, PrincipalID      string
		UserAssignedIdentities map[string]struct{ PrincipalID, ClientID string }
	}
	Encryption struct {
		KeySource          string
		KeyVaultProperties *struct{ KeyIdentifier string }
	}
}

func (e azAccount) key() string {
	if e.Encryption.KeyVaultProperties == nil {
		return ""
	}
	return e.Encryption.KeyVaultProperties.KeyIdentifier
}

type azTask struct {
	ID, State, CommandLine string
	ExecutionInfo          struct {
		ExitCode                 *int
		RetryCount, RequeueCount int
	}
}

// The whole story in the words of az, with its default cloud and nothing registered.
func TestAzWalksThroughTheStory(t *testing.T) {
	t.Parallel()
	a := newAzure(t)
	creds, err := server.Layout(a.data).Credentials()
	if err != nil {
		t.Fatal(err)
	}

	// Login, exactly as `latchkey up` suggests it.
	stdout, stderr, status := a.run("sh", "-c", `exec "$0" login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" -t "$AZURE_TENANT_ID"`, a.az)
	if status != 0 {
		t.Fatalf("az login: exit status %d\n%s", status, stderr)
	}
	var subscriptions []struct {
		ID, TenantID, State, CloudName string
		User                           struct{ Name, Type string }
	}
	if err := json.Unmarshal([]byte(stdout), &subscriptions); err != nil || len(subscriptions) != 1 {
		t.Fatalf("az login printed %q: %v", stdout, err)
	}
	same(t, "subscription", subscriptions[0].ID, creds.SubscriptionID)
	same(t, "tenant", subscriptions[0].TenantID, creds.TenantID)
	same(t, "cloud", subscriptions[0].CloudName, "AzureCloud")
	same(t, "user", subscriptions[0].User.Type+" "+subscriptions[0].User.Name, "servicePrincipal "+creds.ClientID)

	const group, location = "az-group", "westus2"
	tag := resource.NewGUID()[:8]
	account, second, vault := "azfirst"+tag, "azsecond"+tag, "az-vault-"+tag

	var g struct {
		ID, Location string
		Properties   struct{ ProvisioningState string }
	}
	a.do(&g, "group", "create", "-n", group, "-l", "West US 2")
	same(t, "group", g.ID, resource.GroupID(creds.SubscriptionID, group))
	same(t, "its location", g.Location, location)
	same(t, "its state", g.Properties.ProvisioningState, "Succeeded")

	// The account with a system-assigned identity.
	var made azAccount
	a.do(&made, "batch", "account", "create", "-n", account, "-g", group, "-l", location, "--mi-system-assigned", "true")
	same(t, "account", made.ID, resource.New(creds.SubscriptionID, group, "Microsoft.Batch", "batchAccounts", account))
	same(t, "its state", made.ProvisioningState, "Succeeded")
	same(t, "its endpoint", made.AccountEndpoint, account+"."+location+".batch.azure.com")
	same(t, "its identity", made.Identity.Type, "SystemAssigned")
	same(t, "its key source", made.Encryption.KeySource, "Microsoft.Batch")
	var identity struct{ Type, PrincipalID, TenantID string }
	a.do(&identity, "batch", "account", "show", "-n", account, "-g", group, "--query", "identity")
	same(t, "identity", identity.Type, "SystemAssigned")
	same(t, "its tenant", identity.TenantID, creds.TenantID)
	if !resource.IsGUID(identity.PrincipalID) {
		t.Fatalf("principal id = %q, want a GUID", identity.PrincipalID)
	}

	// And one with a user-assigned identity.
	var user struct{ ID, PrincipalID, ClientID string }
	a.do(&user, "identity", "create", "-n", "az-user", "-g", group)
	var other azAccount
	a.do(&other, "batch", "account", "create", "-n", second, "-g", group, "-l", location, "--mi-user-assigned", user.ID)
	same(t, "its identity", other.Identity.Type, "UserAssigned")
	for id, assigned := range other.Identity.UserAssignedIdentities {
		same(t, "user-assigned identity", id, user.ID)
		same(t, "its principal", assigned.PrincipalID, user.PrincipalID)
	}
	same(t, "number of user-assigned identities", len(other.Identity.UserAssignedIdentities), 1)

	// The vault, its policy and its key.
	var v struct {
		Properties struct {
			VaultURI                                string
			EnableSoftDelete, EnablePurgeProtection bool
			AccessPolicies                          []struct {
				ObjectID    string
				Permissions struct{ Keys []string }
			}
		}
	}
	a.do(&v, "keyvault", "create", "-n", vault, "-g", group, "-l", location, "--enable-purge-protection", "true", "--enable-rbac-authorization", "false")
	same(t, "vault", v.Properties.VaultURI, "https://"+vault+".vault.azure.net/")
	same(t, "soft delete and purge protection", v.Properties.EnableSoftDelete && v.Properties.EnablePurgeProtection, true)
	same(t, "policies: az gives the one who makes the vault all rights", len(v.Properties.AccessPolicies), 1)
	makeKey := func(name string) string {
		t.Helper()
		kid := a.value("key.kid", "keyvault", "key", "create", "--vault-name", vault, "-n", name, "--kty", "RSA", "--size", "2048")
		if !strings.HasPrefix(kid, v.Properties.VaultURI+"keys/"+name+"/") {
			t.Fatalf("key id = %q, want one of %s", kid, name)
		}
		return kid
	}
	k1 := makeKey("k1")

	// Before its identity may use the key, the account refuses it and stays as it was.
	set := func(key string) azAccount {
		t.Helper()
		var changed azAccount
		args := []string{"batch", "account", "set", "-n", account, "-g", group, "--encryption-key-source", "Microsoft.KeyVault", "--encryption-key-identifier", key}
		if key == "" {
			args = args[:len(args)-4]
			args = append(args, "--encryption-key-source", "Microsoft.Batch")
		}
		a.do(&changed, args...)
		return changed
	}
	a.fails(1, "wrapKey", "batch", "account", "set", "-n", account, "-g", group, "--encryption-key-source", "Microsoft.KeyVault", "--encryption-key-identifier", k1)
	same(t, "key source after a refused change", a.value("encryption.keySource", "batch", "account", "show", "-n", account, "-g", group), "Microsoft.Batch")

	allow := func() {
		t.Helper()
		a.do(&v, "keyvault", "set-policy", "-n", vault, "-g", group, "--object-id", identity.PrincipalID, "--key-permissions", "get", "wrapKey", "unwrapKey")
		for _, p := range v.Properties.AccessPolicies {
			if p.ObjectID == identity.PrincipalID {
				same(t, "number of permissions", len(p.Permissions.Keys), 3)
				return
			}
		}
		t.Errorf("policies = %+v, want one of %s", v.Properties.AccessPolicies, identity.PrincipalID)
	}
	allow()
	changed := set(k1)
	same(t, "key source", changed.Encryption.KeySource, "Microsoft.KeyVault")
	same(t, "key", changed.key(), k1)

	// A pool, a job, tasks; by token.
	a.do(nil, "batch", "account", "login", "-n", account, "-g", group)
	a.do(nil, "batch", "pool", "create", "--id", "az-pool", "--vm-size", "standard_d2s_v3", "--target-dedicated-nodes", "1", "--task-slots-per-node", "2",
		"--image", "canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest", "--node-agent-sku-id", "batch.node.ubuntu 22.04")
	var pool struct {
		ID, State, VMSize    string
		TargetDedicatedNodes int
		TaskSlotsPerNode     int
	}
	a.do(&pool, "batch", "pool", "show", "--pool-id", "az-pool")
	same(t, "pool", fmt.Sprintln(pool.ID, pool.State, pool.TargetDedicatedNodes, pool.TaskSlotsPerNode), "az-pool active 1 2\n")
	a.do(nil, "batch", "job", "create", "--id", "az-job", "--pool-id", "az-pool")
	var hello azTask
	a.do(&hello, "batch", "task", "create", "--job-id", "az-job", "--task-id", "hello", "--command-line", "/bin/sh -c 'echo hello from $AZ_BATCH_TASK_ID; echo aside >&2'")
	same(t, "task", hello.ID, "hello")
	file := filepath.Join(a.at, "tasks.json")
	if err := os.WriteFile(file, []byte(`[
		{"id": "t1", "commandLine": "/bin/true"},
		{"id": "t2", "commandLine": "/bin/sh -c 'exit 3'"},
		{"id": "t3", "commandLine": "/bin/sh -c 'mkdir deep; echo found > \"deep/a file.txt\"'"}
	]`), 0o600); err != nil {
		t.Fatal(err)
	}
	var added []struct{ Status, TaskID string }
	a.do(&added, "batch", "task", "create", "--job-id", "az-job", "--json-file", file)
	same(t, "number of tasks added", len(added), 3)
	for _, task := range added {
		same(t, "adding "+task.TaskID, strings.ToLower(task.Status), "success")
	}
	tasks := func() map[string]azTask {
		t.Helper()
		var list []azTask
		a.do(&list, "batch", "task", "list", "--job-id", "az-job")
		byID := map[string]azTask{}
		for _, task := range list {
			byID[task.ID] = task
		}
		return byID
	}
	completed := func(ids ...string) map[string]azTask {
		t.Helper()
		deadline := time.Now().Add(60 * time.Second)
		for {
			all := tasks()
			if !slices.ContainsFunc(ids, func(id string) bool { return all[id].State != "completed" }) {
				return all
			}
			if time.Now().After(deadline) {
				t.Fatalf("tasks %v are not all completed after 60 s: %+v", ids, all)
			}
		}
	}
	for id, task := range completed("hello", "t1", "t2", "t3") {
		want := map[string]int{"t2": 3}[id]
		if task.ExecutionInfo.ExitCode == nil || *task.ExecutionInfo.ExitCode != want {
			t.Errorf("exit code of %s = %v, want %d", id, task.ExecutionInfo.ExitCode, want)
		}
	}
	download := func(task, path, want string) {
		t.Helper()
		to := filepath.Join(t.TempDir(), "file")
		a.do(nil, "batch", "task", "file", "download", "--job-id", "az-job", "--task-id", task, "--file-path", path, "--destination", to)
		got, err := os.ReadFile(to)
		if err != nil || string(got) != want {
			t.Errorf("%s of %s = %q, %v; want %q", path, task, got, err, want)
		}
	}
	download("hello", "stdout.txt", "hello from hello\n")
	download("hello", "stderr.txt", "aside\n")
	download("t3", "wd/deep/a file.txt", "found\n")
	var files []struct {
		Name        string
		IsDirectory bool
	}
	a.do(&files, "batch", "task", "file", "list", "--job-id", "az-job", "--task-id", "hello")
	for _, want := range []string{"stdout.txt", "stderr.txt", "wd"} {
		found := false
		for _, f := range files {
			found = found || f.Name == want && f.IsDirectory == (want == "wd")
		}
		if !found {
			t.Errorf("files = %+v, want %s among them", files, want)
		}
	}

	// The account's own keys do as well as a token.
	a.do(nil, "batch", "account", "login", "-n", account, "-g", group, "--shared-key-auth")
	same(t, "number of jobs by shared key", a.value("[0].id", "batch", "job", "list"), "az-job")

	// A new version, another key without version, the platform's key, and back.
	k1b := makeKey("k1")
	if k1b == k1 {
		t.Errorf("creating the key again made no new version")
	}
	same(t, "new version", set(k1b).key(), k1b)
	k2 := v.Properties.VaultURI + "keys/k2"
	makeKey("k2")
	same(t, "other key", set(k2).key(), k2)
	same(t, "number of tasks under it", len(tasks()), 4)
	platform := set("")
	same(t, "platform key", platform.Encryption.KeySource+platform.key(), "Microsoft.Batch")
	same(t, "number of tasks under it", len(tasks()), 4)
	same(t, "customer key again", set(k2).key(), k2)

	// The policy goes while a task runs that would never end by itself, and only the
	// first time.
	a.do(nil, "batch", "task", "create", "--job-id", "az-job", "--task-id", "twice", "--command-line",
		`/bin/sh -c 'if mkdir "$AZ_BATCH_NODE_SHARED_DIR/once"; then sleep 600; else echo again; fi'`)
	for deadline := time.Now().Add(30 * time.Second); tasks()["twice"].State != "running"; {
		if time.Now().After(deadline) {
			t.Fatalf("the task is not running after 30 s: %+v", tasks()["twice"])
		}
	}
	a.do(nil, "keyvault", "delete-policy", "-n", vault, "-g", group, "--object-id", identity.PrincipalID)
	a.eventually(1, refused, "batch", "task", "list", "--job-id", "az-job")
	a.fails(1, refused, "batch", "job", "list")
	a.fails(1, refused, "batch", "account", "keys", "list", "-n", account, "-g", group)
	a.fails(1, refused, "batch", "account", "set", "-n", account, "-g", group, "--tags", "a=b")
	same(t, "key of the locked account", a.value("encryption.keySource", "batch", "account", "show", "-n", account, "-g", group), "Microsoft.KeyVault")
	allow()
	a.eventually(0, "", "batch", "job", "list")
	twice := completed("twice")["twice"]
	same(t, "requeues", twice.ExecutionInfo.RequeueCount, 1)
	same(t, "retries", twice.ExecutionInfo.RetryCount, 0)
	download("twice", "stdout.txt", "again\n")

	// A deleted key does the same as a policy that went.
	a.do(nil, "keyvault", "key", "delete", "--vault-name", vault, "-n", "k2")
	a.eventually(1, refused, "batch", "job", "list")
	same(t, "recovered key", strings.HasPrefix(a.value("key.kid", "keyvault", "key", "recover", "--vault-name", vault, "-n", "k2"), k2+"/"), true)
	a.eventually(0, "", "batch", "job", "list")

	a.do(nil, "batch", "account", "delete", "-n", account, "-g", group, "--yes")
	a.fails(3, "ResourceNotFound", "batch", "account", "show", "-n", account, "-g", group)
	same(t, "the account that is left", a.value("[0].name", "batch", "account", "list", "-g", group), second)
}
