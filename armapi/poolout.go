package armapi

import (
	"context"
	"errors"
	"time"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/resource"
	"latchkey/rest"
)

// words are the values of a property as Resource Manager spells them. The batch
// service has the same in lower case, which is how its own protocol spells them.
type words []string

var (
	allocations    = words{"Steady", "Resizing", "Stopping"}
	cachings       = words{"None", "ReadOnly", "ReadWrite"}
	communications = words{"Default", "Classic", "Simplified"}
	deallocations  = words{"Requeue", "Terminate", "TaskCompletion", "RetainedData"}
	elevations     = words{"NonAdmin", "Admin"}
	ephemerals     = words{"CacheDisk"}
	fills          = words{"Spread", "Pack"}
	onOff          = words{"Enabled", "Disabled"}
	placements     = words{"Regional", "Zonal"}
	provisions     = words{"BatchManaged", "UserManaged", "NoPublicIPAddresses"}
	scopes         = words{"none", "job"}
	storages       = words{"Standard_LRS", "Premium_LRS", "StandardSSD_LRS"}
	storeLocations = words{"CurrentUser", "LocalMachine"}
	upgrades       = words{"automatic", "manual", "rolling"}
	userScopes     = words{"Task", "Pool"}
	visibilities   = words{"StartTask", "Task", "RemoteUser"}
)

func (w words) has(value string) bool {
	for _, word := range w {
		if resource.Equal(word, value) {
			return true
		}
	}
	return false
}

// spell returns a value as Resource Manager spells it.
func (w words) spell(value string) string {
	for _, word := range w {
		if resource.Equal(word, value) {
			return word
		}
	}
	return value
}

// poolProperties are what a list of pools can be filtered by.
var poolProperties = []string{
	"name", "properties/allocationState", "properties/allocationStateTransitionTime", "properties/creationTime",
	"properties/provisioningState", "properties/provisioningStateTransitionTime", "properties/lastModified",
	"properties/vmSize", "properties/interNodeCommunication", "properties/scaleSettings/autoScale", "properties/scaleSettings/fixedScale",
}

func poolProperty(p batch.Pool, name string) string {
	switch name {
	case "name":
		return p.ID
	case "properties/allocationState":
		return p.Allocation
	case "properties/allocationStateTransitionTime":
		return filtered(p.AllocationAt)
	case "properties/creationTime":
		return filtered(p.Created)
	case "properties/provisioningState":
		return poolState(p)
	case "properties/provisioningStateTransitionTime":
		return filtered(p.StateAt)
	case "properties/lastModified":
		return filtered(modified(p.Modified))
	case "properties/vmSize":
		return p.VMSize
	case "properties/interNodeCommunication":
		return interNode(p)
	case "properties/scaleSettings/fixedScale":
		return "fixedScale"
	}
	return ""
}

// filtered writes a time as filters read it.
func filtered(t time.Time) string { return instant(t).Format(time.RFC3339Nano) }

// modified is the time of a version: the batch service numbers them by the clock.
func modified(version uint64) time.Time { return instant(time.Unix(0, int64(version))) }

func poolState(p batch.Pool) string {
	if p.State == "deleting" {
		return "Deleting"
	}
	return "Succeeded"
}

func interNode(p batch.Pool) string {
	if p.InterNode {
		return "Enabled"
	}
	return "Disabled"
}

func (d *Door) poolOut(ctx context.Context, acct batch.Account, p batch.Pool) (poolOut, error) {
	out := poolOut{
		proxyOut: proxyOut{ID: acct.ID + "/pools/" + p.ID, Name: p.ID, Type: poolType, ETag: rest.ETag(p.Modified), Tags: p.Tags},
		Properties: poolPropertiesOut{
			DisplayName: p.DisplayName, Modified: modified(p.Modified), Created: instant(p.Created),
			State: poolState(p), StateAt: instant(p.StateAt),
			Allocation: allocations.spell(p.Allocation), AllocationAt: instant(p.AllocationAt),
			VMSize: p.VMSize, Deployment: deploymentConfigurationOut(p), Dedicated: p.CurrentDedicated, LowPriority: p.CurrentLowPriority,
			Scale: scaleOut{fixedScaleOut{
				ResizeTimeout: rest.Duration(p.ResizeTimeout), Dedicated: p.Dedicated, LowPriority: p.LowPriority,
				Deallocation: deallocations.spell(p.Deallocation),
			}},
			InterNode: interNode(p), Slots: p.Slots, Scheduling: schedulingJSON{fills.spell(p.Fill)},
			Users: usersOut(p.Users), StartTask: showStartTask(p.StartTask), Certificates: certificateUsesOut(acct, p.Certificates),
			Resize: resizeStatus(p), Communication: communications.spell(p.Communication),
		},
	}
	for _, m := range p.Metadata {
		out.Properties.Metadata = append(out.Properties.Metadata, nameValueJSON(m))
	}
	if p.HasPublicIP {
		out.Properties.Network = &poolNetworkOut{Scope: "none", PublicIP: publicIPOut{"BatchManaged"}}
		if p.NoPublicIP {
			out.Properties.Network.PublicIP.Provision = "NoPublicIPAddresses"
		}
	}
	if p.Upgrade != "" {
		out.Properties.Upgrade = &upgradeOut{upgrades.spell(p.Upgrade)}
	}
	var err error
	out.Identity, err = d.poolIdentityOut(ctx, p)
	return out, err
}

// poolIdentityOut shows the identities of a pool. One that was deleted stays assigned,
// as in Azure, and has no ids.
func (d *Door) poolIdentityOut(ctx context.Context, p batch.Pool) (*poolIdentityOut, error) {
	if len(p.Identities) == 0 {
		return nil, nil
	}
	out := &poolIdentityOut{Type: "UserAssigned", User: map[string]userIdentityOut{}}
	for _, id := range p.Identities {
		m, err := d.Directory.Identity(ctx, id)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
		out.User[id] = userIdentityOut{m.PrincipalID, m.ClientID}
	}
	return out, nil
}

func deploymentConfigurationOut(p batch.Pool) deploymentOut {
	var out deploymentOut
	if c := p.CloudService; c != nil {
		out.CloudService = &cloudServiceJSON{c.OSFamily, c.OSVersion}
	}
	m := p.Machine
	if m == nil {
		return out
	}
	i := m.Image
	out.Machine = &machineJSON{
		Image: &imageJSON{
			Publisher: i.Publisher, Offer: i.Offer, SKU: i.SKU, Version: i.Version, ID: i.VirtualMachineImageID,
			SharedGalleryImageID: i.SharedGalleryImageID, CommunityGalleryImageID: i.CommunityGalleryImageID,
		},
		NodeAgent: m.NodeAgent, LicenseType: m.LicenseType,
	}
	if m.Placement != "" {
		out.Machine.Placement = &placementJSON{placements.spell(m.Placement)}
	}
	if disk := m.OSDisk; disk != nil {
		o := &osDiskJSON{Caching: cachings.spell(disk.Caching), WriteAccelerator: disk.WriteAccelerator}
		if disk.Ephemeral != "" {
			o.Ephemeral = &ephemeralJSON{ephemerals.spell(disk.Ephemeral)}
		}
		if disk.StorageAccountType != "" {
			o.Managed = &managedDiskJSON{StorageAccountType: storages.spell(disk.StorageAccountType)}
		}
		if disk.SizeGB != 0 {
			size := rest.Int(disk.SizeGB)
			o.SizeGB = &size
		}
		out.Machine.OSDisk = o
	}
	return out
}

func usersOut(users []batch.UserAccount) []poolUserOut {
	var out []poolUserOut
	for _, u := range users {
		o := poolUserOut{Name: u.Name, Elevation: "NonAdmin"}
		if u.Elevation != "" {
			o.Elevation = elevations.spell(u.Elevation)
		}
		if u.UID != nil || u.SSHPrivateKey != "" {
			o.Linux = &linuxUserOut{u.UID, u.GID}
		}
		out = append(out, o)
	}
	return out
}

func showStartTask(t *batch.StartTask) *startTaskOut {
	if t == nil {
		return nil
	}
	out := &startTaskOut{CommandLine: t.CommandLine, MaxRetries: t.MaxRetries, WaitForSuccess: t.WaitForSuccess}
	for _, f := range t.Files {
		out.Files = append(out.Files, resourceFileJSON(f))
	}
	for _, v := range t.Env {
		out.Env = append(out.Env, nameValueJSON(v))
	}
	if u := t.User; u != nil {
		out.User = &startTaskUserJSON{Username: u.Username}
		if u.Username == "" {
			// Tools take one of the two for granted.
			out.User.AutoUser = &autoUserJSON{userScopes.spell(u.Scope), elevations.spell(u.Elevation)}
		}
	}
	return out
}

func certificateUsesOut(acct batch.Account, refs []batch.CertificateReference) []certificateUseJSON {
	var out []certificateUseJSON
	for _, c := range refs {
		o := certificateUseJSON{
			ID:            acct.ID + "/certificates/" + c.Algorithm + "-" + c.Thumbprint,
			StoreLocation: storeLocations.spell(c.StoreLocation), StoreName: c.StoreName,
		}
		for _, v := range c.Visibility {
			o.Visibility = append(o.Visibility, visibilities.spell(v))
		}
		out = append(out, o)
	}
	return out
}

func resizeStatus(p batch.Pool) resizeOut {
	out := resizeOut{
		Dedicated: p.Dedicated, LowPriority: p.LowPriority, ResizeTimeout: rest.Duration(p.ResizeTimeout), Deallocation: "Requeue",
	}
	if p.Deallocation != "" {
		out.Deallocation = deallocations.spell(p.Deallocation)
	}
	if p.Allocation != batch.Steady {
		out.Started = moment(p.AllocationAt)
	}
	for _, e := range p.ResizeErrors {
		out.Errors = append(out.Errors, detailedErrOut{e.Code, e.Message, detailsOut(e.Values)})
	}
	return out
}

func detailsOut(values []batch.Pair) []detailedErrOut {
	var out []detailedErrOut
	for _, v := range values {
		out = append(out, detailedErrOut{Code: v.Name, Message: v.Value})
	}
	return out
}
