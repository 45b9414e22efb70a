package armapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// batchAccount makes a group with an account and returns the account's path.
func (w *world) batchAccount(t *testing.T) string {
	t.Helper()
	group := "/subscriptions/" + w.sub + "/resourceGroups/g1"
	account := group + "/providers/Microsoft.Batch/batchAccounts/acct1"
	if status, body := w.ask(t, "PUT", group, `{"location":"westus2"}`); status != 201 {
		t.Fatalf("group: %d %v", status, body)
	}
	if status, body := w.ask(t, "PUT", account, `{"location":"westus2"}`); status != 202 {
		t.Fatalf("account: %d %v", status, body)
	}
	return account
}

// machine is a deployment configuration with more properties behind it.
func machine(more string) string {
	return `"deploymentConfiguration":{"virtualMachineConfiguration":{"nodeAgentSkuId":"batch.node.debian 12",` +
		`"imageReference":{"publisher":"debian","offer":"debian-12","sku":"12"}` + more + `}}`
}

// small is the least that a pool needs.
var small = `"vmSize":"standard_d1_v2",` + machine("")

func TestPoolsRefuseWhatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account := w.batchAccount(t)
	users := strings.TrimSuffix(account, "/providers/Microsoft.Batch/batchAccounts/acct1") + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
	for name, test := range map[string]struct {
		body, code, word string
	}{
		"no properties":               {`{}`, "MissingRequiredProperty", "vmSize"},
		"null":                        {`null`, "MissingRequiredProperty", "vmSize"},
		"a list":                      {`[]`, "InvalidRequestContent", "array"},
		"properties are a text":       {`{"properties":"x"}`, "InvalidRequestContent", "properties"},
		"vmSize is a number":          {`{"properties":{"vmSize":4}}`, "InvalidRequestContent", "properties.vmSize"},
		"no deployment":               {`{"properties":{"vmSize":"a"}}`, "MissingRequiredProperty", "properties.deploymentConfiguration.virtualMachineConfiguration"},
		"no image":                    {`{"properties":{"vmSize":"a","deploymentConfiguration":{"virtualMachineConfiguration":{"nodeAgentSkuId":"a"}}}}`, "MissingRequiredProperty", "imageReference"},
		"Windows":                     {`{"properties":{"vmSize":"a","deploymentConfiguration":{"virtualMachineConfiguration":{"nodeAgentSkuId":"a","imageReference":{"publisher":"MicrosoftWindowsServer"}}}}}`, "InvalidPropertyValue", "Linux"},
		"data disks":                  {`{"properties":{"vmSize":"a",` + machine(`,"dataDisks":[{"lun":0,"diskSizeGB":30}]`) + `}}`, "UnsupportedOperation", "dataDisks"},
		"containers":                  {`{"properties":{"vmSize":"a",` + machine(`,"containerConfiguration":{"type":"DockerCompatible"}`) + `}}`, "UnsupportedOperation", "containerConfiguration"},
		"disk encryption":             {`{"properties":{"vmSize":"a",` + machine(`,"diskEncryptionConfiguration":{"targets":["OsDisk"]}`) + `}}`, "UnsupportedOperation", "diskEncryptionConfiguration"},
		"bad caching":                 {`{"properties":{"vmSize":"a",` + machine(`,"osDisk":{"caching":"Always"}`) + `}}`, "InvalidPropertyValue", "osDisk.caching"},
		"automatic scale":             {`{"properties":{` + small + `,"scaleSettings":{"autoScale":{"formula":"$TargetDedicatedNodes=1"}}}}`, "UnsupportedOperation", "properties.scaleSettings.autoScale"},
		"no scale in the settings":    {`{"properties":{` + small + `,"scaleSettings":{}}}`, "MissingRequiredProperty", "properties.scaleSettings.fixedScale"},
		"no targets":                  {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{}}}}`, "MissingRequiredProperty", "properties.scaleSettings.fixedScale.targetDedicatedNodes"},
		"negative targets":            {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":-1}}}}`, "InvalidPropertyValue", "properties.scaleSettings.fixedScale.targetDedicatedNodes"},
		"huge targets":                {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":99999999999}}}}`, "InvalidPropertyValue", "targetDedicatedNodes"},
		"half a node":                 {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":1.5}}}}`, "InvalidRequestContent", "targetDedicatedNodes"},
		"targets in words":            {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":"many"}}}}`, "InvalidRequestContent", "targetDedicatedNodes"},
		"a timeout that is none":      {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":1,"resizeTimeout":"15m"}}}}`, "InvalidPropertyValue", "ISO 8601"},
		"a short timeout":             {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":1,"resizeTimeout":"PT1M"}}}}`, "InvalidPropertyValue", "properties.scaleSettings.fixedScale.resizeTimeout"},
		"no timeout":                  {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":1,"resizeTimeout":"PT0S"}}}}`, "InvalidPropertyValue", "resizeTimeout"},
		"data is retained":            {`{"properties":{` + small + `,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":1,"nodeDeallocationOption":"RetainedData"}}}}`, "UnsupportedOperation", "RetainedData"},
		"no slots":                    {`{"properties":{` + small + `,"taskSlotsPerNode":0}}`, "InvalidPropertyValue", "properties.taskSlotsPerNode"},
		"many slots":                  {`{"properties":{` + small + `,"taskSlotsPerNode":257}}`, "InvalidPropertyValue", "properties.taskSlotsPerNode"},
		"bad fill":                    {`{"properties":{` + small + `,"taskSchedulingPolicy":{"nodeFillType":"Heap"}}}`, "InvalidPropertyValue", "nodeFillType"},
		"bad communication":           {`{"properties":{` + small + `,"targetNodeCommunicationMode":"Loud"}}`, "InvalidPropertyValue", "targetNodeCommunicationMode"},
		"bad communication in pools":  {`{"properties":{` + small + `,"interNodeCommunication":"Yes"}}`, "InvalidPropertyValue", "interNodeCommunication"},
		"a subnet":                    {`{"properties":{` + small + `,"networkConfiguration":{"subnetId":"/subscriptions/s"}}}`, "UnsupportedOperation", "subnetId"},
		"ports from outside":          {`{"properties":{` + small + `,"networkConfiguration":{"endpointConfiguration":{"inboundNatPools":[{"name":"a"}]}}}}`, "UnsupportedOperation", "inboundNatPools"},
		"application packages":        {`{"properties":{` + small + `,"applicationPackages":[{"id":"a"}]}}`, "UnsupportedOperation", "properties.applicationPackages"},
		"mounts":                      {`{"properties":{` + small + `,"mountConfiguration":[{"nfsMountConfiguration":{"source":"a"}}]}}`, "UnsupportedOperation", "properties.mountConfiguration"},
		"resource tags":               {`{"properties":{` + small + `,"resourceTags":{"a":"b"}}}`, "UnsupportedOperation", "properties.resourceTags"},
		"a rolling upgrade":           {`{"properties":{` + small + `,"upgradePolicy":{"mode":"rolling","rollingUpgradePolicy":{"maxBatchInstancePercent":20}}}}`, "UnsupportedOperation", "rollingUpgradePolicy"},
		"a user without password":     {`{"properties":{` + small + `,"userAccounts":[{"name":"a"}]}}`, "MissingRequiredProperty", "properties.userAccounts[0].password"},
		"a user of Windows":           {`{"properties":{` + small + `,"userAccounts":[{"name":"a","password":"b","windowsUserConfiguration":{"loginMode":"Batch"}}]}}`, "UnsupportedOperation", "windowsUserConfiguration"},
		"a start task without line":   {`{"properties":{` + small + `,"startTask":{"waitForSuccess":true}}}`, "MissingRequiredProperty", "properties.startTask.commandLine"},
		"a start task in a container": {`{"properties":{` + small + `,"startTask":{"commandLine":"a","containerSettings":{"imageName":"b"}}}}`, "UnsupportedOperation", "containerSettings"},
		"a start task's stranger":     {`{"properties":{` + small + `,"startTask":{"commandLine":"a","userIdentity":{"userName":"x"}}}}`, "InvalidPropertyValue", "properties.startTask.userIdentity.userName"},
		"files from a container":      {`{"properties":{` + small + `,"startTask":{"commandLine":"a","resourceFiles":[{"storageContainerUrl":"https://a"}]}}}`, "UnsupportedOperation", "storageContainerUrl"},
		"a certificate's name":        {`{"properties":{` + small + `,"certificates":[{"id":"sha1-00"}]}}`, "InvalidPropertyValue", "properties.certificates[0].id"},
		"a system-assigned identity":  {`{"identity":{"type":"SystemAssigned"},"properties":{` + small + `}}`, "InvalidPoolIdentity", "customer-managed key"},
		"both kinds of identity":      {`{"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{"` + users + `u1":{}}},"properties":{` + small + `}}`, "InvalidPoolIdentity", "customer-managed key"},
		"the account as an identity":  {`{"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + account + `":{}}},"properties":{` + small + `}}`, "InvalidPoolIdentity", "customer-managed key"},
		"an unknown kind of identity": {`{"identity":{"type":"Borrowed"},"properties":{` + small + `}}`, "InvalidIdentity", "Borrowed"},
		"no identities":               {`{"identity":{"type":"UserAssigned"},"properties":{` + small + `}}`, "InvalidIdentity", "userAssignedIdentities"},
		"identities of none":          {`{"identity":{"type":"None","userAssignedIdentities":{"` + users + `u1":{}}},"properties":{` + small + `}}`, "InvalidIdentity", "None"},
		"an identity that is gone":    {`{"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + users + `u1":{}}},"properties":{` + small + `}}`, "FailedIdentityOperation", "u1"},
		"an identity that is no id":   {`{"identity":{"type":"UserAssigned","userAssignedIdentities":{"u1":{}}},"properties":{` + small + `}}`, "InvalidIdentity", "u1"},
	} {
		status, body := w.ask(t, "PUT", account+"/pools/p1", test.body)
		message := fmt.Sprint(at(body, "error", "message"))
		if status != 400 || at(body, "error", "code") != test.code || !strings.Contains(message, test.word) {
			t.Errorf("%s: got %d %v, want 400 %s with %q", name, status, body, test.code, test.word)
		}
	}
	for _, name := range []string{"a.b", "a%2Fb", strings.Repeat("a", 65)} {
		if status, body := w.ask(t, "PUT", account+"/pools/"+name, `{"properties":{`+small+`}}`); status != 400 || at(body, "error", "code") != "InvalidPropertyValue" {
			t.Errorf("the name %s: got %d %v, want 400 InvalidPropertyValue", name, status, body)
		}
	}
	if status, body := w.ask(t, "GET", account+"/pools", ""); status != 200 || len(at(body, "value").([]any)) != 0 {
		t.Errorf("pools after all that: %d %v", status, body)
	}
}

// A change that is refused changes nothing, also not what stands before it.
func TestPatchOfAPoolIsOneChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := w.batchAccount(t) + "/pools/p1"
	if status, body := w.ask(t, "PUT", pool, `{"properties":{`+small+`,"scaleSettings":{"fixedScale":{"targetDedicatedNodes":1}}}}`); status != 200 {
		t.Fatalf("create: %d %v", status, body)
	}
	_, before := w.ask(t, "GET", pool, "")
	status, body := w.ask(t, "PATCH", pool, `{"properties":{"displayName":"x","scaleSettings":{"fixedScale":{"targetDedicatedNodes":2,"resizeTimeout":"PT1M"}}}}`)
	if status != 400 {
		t.Errorf("patch: got %d %v, want 400", status, body)
	}
	if _, after := w.ask(t, "GET", pool, ""); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after a refused patch the pool is\n%v\nwant\n%v", after, before)
	}
	status, body = w.ask(t, "PATCH", pool, `{"properties":{"displayName":"x","scaleSettings":{"fixedScale":{"targetDedicatedNodes":2}}}}`)
	if status != 200 || at(body, "properties", "displayName") != "x" || at(body, "properties", "currentDedicatedNodes") != 2.0 ||
		at(body, "properties", "targetNodeCommunicationMode") != nil {
		t.Errorf("patch: got %d %v", status, body)
	}
}

func TestListsOfPoolsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account := w.batchAccount(t)
	want := []string{"p1", "p2", "p3", "p4", "p5"}
	for _, name := range want {
		if status, body := w.ask(t, "PUT", account+"/pools/"+name, `{"properties":{`+small+`}}`); status != 200 {
			t.Fatalf("create: %d %v", status, body)
		}
	}
	var got []string
	path := account + "/pools?api-version=2024-02-01&maxresults=2&$select=" + url.QueryEscape("properties/vmSize")
	for pages := 0; path != ""; pages++ {
		if pages == 4 {
			t.Fatal("the list does not end")
		}
		resp, body := w.call(t, w.owner(t), "GET", path, "", "")
		var page struct {
			Value []struct {
				Name       string
				Properties map[string]any
			}
			NextLink string
		}
		if err := json.Unmarshal(body, &page); err != nil || resp.StatusCode != 200 {
			t.Fatalf("list: %s %s: %v", resp.Status, body, err)
		}
		for _, p := range page.Value {
			got = append(got, p.Name)
			if len(p.Properties) != 1 || p.Properties["vmSize"] == nil {
				t.Errorf("selected of %s: %v, want vmSize", p.Name, p.Properties)
			}
		}
		path = strings.TrimPrefix(page.NextLink, "https://management.azure.com")
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages have %v, want %v", got, want)
	}
}
