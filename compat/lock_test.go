package compat

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/batch/azbatch"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/batch/armbatch/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/keyvault/armkeyvault"
)

// What every client is told when the owner takes the key away, and that all goes on
// when it is back.
func TestTheKeyIsTakenAwayAndGivenBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	vault, keys := b.vault()
	b.allow(vault, b.principal, armkeyvault.AccessPolicyUpdateKindAdd)
	b.seal(b.account, underKey(b.key(keys, "k")))
	b.pool(1)
	b.job()
	b.task("t", "/bin/sleep 600")
	b.await("t", azbatch.TaskStateRunning)

	for i, way := range []struct {
		name       string
		take, give func()
	}{
		{
			"policy",
			func() { b.allow(vault, b.principal, armkeyvault.AccessPolicyUpdateKindRemove) },
			func() { b.allow(vault, b.principal, armkeyvault.AccessPolicyUpdateKindAdd) },
		},
		{
			"deleted key",
			func() { _, err := keys.DeleteKey(t.Context(), "k", nil); ok(t, err) },
			func() { _, err := keys.RecoverDeletedKey(t.Context(), "k", nil); ok(t, err) },
		},
	} {
		way.take()
		eventually(t, way.name+": the account is locked", func() bool { _, err := b.GetTask(t.Context(), "j", "t", nil); return err != nil })
		_, err := b.GetTask(t.Context(), "j", "t", nil)
		refused(t, err, 403, "CustomerManagedKeyUnavailable")
		_, err = b.CreateTask(t.Context(), "j", azbatch.CreateTaskContent{ID: to.Ptr("u"), CommandLine: to.Ptr("/bin/true")}, nil)
		refused(t, err, 403, "CustomerManagedKeyUnavailable")
		_, err = b.accounts().GetKeys(t.Context(), b.group, b.account, nil)
		refused(t, err, 403, "CustomerManagedKeyUnavailable")
		shown, err := b.accounts().Get(t.Context(), b.group, b.account, nil)
		ok(t, err)
		if *shown.Properties.Encryption.KeySource != armbatch.KeySourceMicrosoftKeyVault {
			t.Errorf("%s: the locked account is shown as %+v", way.name, shown.Properties.Encryption)
		}

		way.give()
		eventually(t, way.name+": the account is usable", func() bool { _, err := b.GetPool(t.Context(), "p", nil); return err == nil })
		eventually(t, way.name+": the task runs again and lost no retry", func() bool {
			task, err := b.GetTask(t.Context(), "j", "t", nil)
			ok(t, err)
			return *task.State == azbatch.TaskStateRunning && *task.ExecutionInfo.RequeueCount == int32(i+1) && *task.ExecutionInfo.RetryCount == 0
		})
	}
}
