package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"latchkey/client"
	"latchkey/resource"
	"latchkey/server"
)

// The versions of the protocols that the story is told in.
const (
	groupsVersion   = "2021-04-01"
	vaultsVersion   = "2023-07-01"
	accountsVersion = "2024-07-01"
	keysVersion     = "7.4"
	dataVersion     = "2024-07-01.20.0"
)

// The size of the job: all but the last of its tasks count a slice of the text each,
// the last adds up.
const (
	nodeCount    = 2
	slotsPerNode = 2
	taskCount    = 40
	sliceCount   = taskCount - 1
)

// pause is how many seconds a task takes beside its work. Four slots make the job last
// about seven seconds of it, in which the key can be changed and taken away. The tasks
// must not take the same time, or all slots would end at once and there would be
// moments with nothing to take away.
func pause(n int) string { return fmt.Sprintf("%.1f", 0.4+0.1*float64(n%5)) }

// A story is the quickstart on its way: the names of what it makes, and what later
// chapters must know of earlier ones.
type story struct {
	*client.Client
	screen  *screen
	service *trial
	cloud   resource.Cloud
	creds   server.Credentials
	files   *fileServer

	groupID, accountID, vaultID string
	vault, key, pool, job       string
	// endpoint is the account's, principal its identity's.
	endpoint, principal string
	// version is the key version that wraps the account key.
	version string
	// finished are the tasks that were done when the key was taken away, with the
	// times at which they ended.
	finished map[string]string
	// revoked and restored are when the vault was asked to change its policy.
	revoked, restored time.Time
}

// name chooses the names: new ones each time, since a deleted vault keeps its own, and
// such that nothing has them by accident.
func (s *story) name() {
	tag := resource.NewGUID()[:8]
	group := "quickstart-" + tag
	s.vault, s.key, s.pool, s.job = "trinity-"+tag, "account-key", "prism-"+tag, "opticks-"+tag
	s.groupID = resource.GroupID(s.creds.SubscriptionID, group)
	s.accountID = resource.New(s.creds.SubscriptionID, group, "Microsoft.Batch", "batchAccounts", "newton"+tag)
	s.vaultID = resource.New(s.creds.SubscriptionID, group, "Microsoft.KeyVault", "vaults", s.vault)
}

// close lets go of what the story holds in this process.
func (s *story) close() {
	if s.files != nil {
		s.files.close()
	}
	s.Close()
}

// tell walks through the chapters and stops at the first that fails.
func (s *story) tell(ctx context.Context) error {
	for _, chapter := range []struct {
		title string
		run   func(context.Context) (string, error)
	}{
		{"a resource group", s.makeGroup},
		{"a Batch account with an identity of its own", s.makeAccount},
		{"a vault with soft delete and purge protection", s.makeVault},
		{"the account's identity may get, wrapKey and unwrapKey", s.allow},
		{"an RSA key in the vault", s.makeKey},
		{"the account's data is sealed under that key", s.useKey},
		{"a pool", s.makePool},
		{"a job", s.makeJob},
		{"its tasks run", s.awaitFirst},
		{"a new version of the key while they run", s.rotate},
		{"the key is taken away while tasks run", s.takeAway},
		{"what is refused without it", s.refuse},
		{"the job's words searched for in the store's files", s.search},
		{"nothing moves while it is away", s.stayAway},
		{"the key is given back", s.giveBack},
		{"the job finishes", s.awaitLast},
		{"the result", s.result},
		{"the account is deleted", s.deleteAccount},
	} {
		s.screen.doing(chapter.title)
		began := time.Now()
		detail, err := chapter.run(ctx)
		if err != nil {
			s.screen.failed(chapter.title)
			return fmt.Errorf("%s: %w", chapter.title, err)
		}
		s.screen.done(chapter.title, detail, time.Since(began))
	}
	return nil
}

// manage calls Resource Manager about a resource.
func (s *story) manage(ctx context.Context, method, id, version string, in, out any) error {
	return s.Call(ctx, method, "https://"+s.cloud.Management+id+"?api-version="+version, in, out)
}

// data calls the account's own endpoint. What the path has of a query stays before the
// version.
func (s *story) data(ctx context.Context, method, path string, in, out any) error {
	return s.Call(ctx, method, s.dataURL(path), in, out)
}

func (s *story) dataURL(path string) string {
	return "https://" + s.endpoint + path + "?api-version=" + dataVersion
}

// file returns a file of a task.
func (s *story) file(ctx context.Context, task, name string) ([]byte, error) {
	url := s.dataURL("/jobs/" + s.job + "/tasks/" + task + "/files/" + name)
	resp, err := s.Do(ctx, http.MethodGet, url, nil, nil)
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %d: %s", url, resp.Status, resp.Body)
	}
	return resp.Body, nil
}

type object = map[string]any

func (s *story) makeGroup(ctx context.Context) (string, error) {
	err := s.manage(ctx, http.MethodPut, s.groupID, groupsVersion, object{"location": "westeurope"}, nil)
	return "", err
}

// An accountView is what the story reads of a Batch account.
type accountView struct {
	ID       string
	Identity struct {
		Type        string
		PrincipalID string
	}
	Properties struct {
		AccountEndpoint   string
		ProvisioningState string
		Encryption        struct {
			KeySource          string
			KeyVaultProperties struct{ KeyIdentifier string }
		}
		KeyStatus keyStatus
	}
}

// A keyStatus is what the service says beyond Azure about the key of an account: one
// can always read why it is locked.
type keyStatus struct {
	State, Reason, Message string
	Nodes, Tasks           map[string]int
}

func (s *story) account(ctx context.Context) (accountView, error) {
	var a accountView
	err := s.manage(ctx, http.MethodGet, s.accountID, accountsVersion, nil, &a)
	return a, err
}

func (s *story) makeAccount(ctx context.Context) (string, error) {
	began := time.Now()
	err := s.manage(ctx, http.MethodPut, s.accountID, accountsVersion,
		object{"location": "westeurope", "identity": object{"type": "SystemAssigned"}}, nil)
	if err != nil {
		return "", err
	}
	a, err := s.account(ctx)
	if err != nil {
		return "", err
	}
	s.endpoint, s.principal = a.Properties.AccountEndpoint, a.Identity.PrincipalID
	switch {
	case a.Properties.ProvisioningState != "Succeeded":
		return "", fmt.Errorf("its provisioning state is %q", a.Properties.ProvisioningState)
	case s.endpoint == "":
		return "", errors.New("it has no endpoint")
	case s.principal == "":
		return "", errors.New("its identity has no principal id")
	}
	s.screen.show("a Batch account with an identity is made (one poll of 1 s)", short(time.Since(began)))
	return "principal " + s.principal, nil
}

func (s *story) makeVault(ctx context.Context) (string, error) {
	var v struct {
		Properties struct {
			VaultURI                                string
			EnableSoftDelete, EnablePurgeProtection bool
		}
	}
	// Whoever makes a vault gets no rights in it by that: the application takes those
	// for keys, as az does for its user.
	var me struct {
		Value []struct{ ID string }
	}
	err := s.Call(ctx, http.MethodGet, "https://"+s.cloud.Graph+"/v1.0/servicePrincipals?$filter=appId%20eq%20'"+s.creds.ClientID+"'", nil, &me)
	if err != nil {
		return "", err
	}
	if len(me.Value) != 1 {
		return "", fmt.Errorf("the directory has %d principals for the application", len(me.Value))
	}
	err = s.manage(ctx, http.MethodPut, s.vaultID, vaultsVersion, object{
		"location": "westeurope",
		"properties": object{
			"tenantId": s.creds.TenantID, "sku": object{"family": "A", "name": "standard"},
			"enableSoftDelete": true, "enablePurgeProtection": true, "enableRbacAuthorization": false,
			"accessPolicies": []object{s.policy(me.Value[0].ID, "get", "list", "create", "update", "delete", "recover")},
		},
	}, &v)
	if err != nil {
		return "", err
	}
	if !v.Properties.EnableSoftDelete || !v.Properties.EnablePurgeProtection {
		return "", errors.New("its protections are not on")
	}
	return v.Properties.VaultURI, nil
}

func (s *story) policy(principal string, keys ...string) object {
	return object{"tenantId": s.creds.TenantID, "objectId": principal, "permissions": object{"keys": keys}}
}

// changePolicy adds the policy of the account's identity to the vault, or removes it.
func (s *story) changePolicy(ctx context.Context, how string) error {
	return s.manage(ctx, http.MethodPut, s.vaultID+"/accessPolicies/"+how, vaultsVersion,
		object{"properties": object{"accessPolicies": []object{s.policy(s.principal, "get", "wrapKey", "unwrapKey")}}}, nil)
}

func (s *story) allow(ctx context.Context) (string, error) { return "", s.changePolicy(ctx, "add") }

// newVersion makes a version of the key and returns its identifier.
func (s *story) newVersion(ctx context.Context) (string, error) {
	var k struct{ Key struct{ KID, Kty string } }
	err := s.Call(ctx, http.MethodPost, s.cloud.VaultURI(s.vault)+"keys/"+s.key+"/create?api-version="+keysVersion,
		object{"kty": "RSA", "key_size": 2048}, &k)
	if err != nil {
		return "", err
	}
	if k.Key.KID == "" || k.Key.Kty != "RSA" {
		return "", fmt.Errorf("the vault answered with a %q key %q", k.Key.Kty, k.Key.KID)
	}
	return k.Key.KID, nil
}

func (s *story) makeKey(ctx context.Context) (string, error) {
	version, err := s.newVersion(ctx)
	s.version = version
	return version, err
}

// seal tells the account which key it is sealed under, and checks that it has it.
func (s *story) seal(ctx context.Context, key string) error {
	err := s.manage(ctx, http.MethodPatch, s.accountID, accountsVersion, object{"properties": object{"encryption": object{
		"keySource": "Microsoft.KeyVault", "keyVaultProperties": object{"keyIdentifier": key},
	}}}, nil)
	if err != nil {
		return err
	}
	a, err := s.account(ctx)
	if err != nil {
		return err
	}
	if e := a.Properties.Encryption; e.KeySource != "Microsoft.KeyVault" || e.KeyVaultProperties.KeyIdentifier != key {
		return fmt.Errorf("the account names %q of %q as its key", e.KeyVaultProperties.KeyIdentifier, e.KeySource)
	}
	return nil
}

func (s *story) useKey(ctx context.Context) (string, error) {
	began := time.Now()
	if err := s.seal(ctx, s.version); err != nil {
		return "", err
	}
	s.screen.show("the customer's key takes the place of the platform's", short(time.Since(began)))
	return "", nil
}

func (s *story) deleteAccount(ctx context.Context) (string, error) {
	began := time.Now()
	if err := s.manage(ctx, http.MethodDelete, s.accountID, accountsVersion, nil, nil); err != nil {
		return "", err
	}
	if _, err := s.account(ctx); !errors.Is(err, &client.Error{Status: http.StatusNotFound}) {
		return "", fmt.Errorf("asked for it again, the answer is %v and not 404", err)
	}
	s.screen.show("the account is deleted, its wrapped keys first", short(time.Since(began)))
	return "", nil
}
