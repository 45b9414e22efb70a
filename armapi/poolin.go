package armapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// A poolReader turns the properties of a body into those of a specification and keeps
// the first failure.
type poolReader struct {
	acct batch.Account
	err  error
}

func (r *poolReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// refuse fails if something was given that this service cannot honour. Tools send
// empty lists and objects for what nobody asked for.
func (r *poolReader) refuse(name string, given json.RawMessage, instead string) {
	var v any
	if len(given) > 0 && (json.Unmarshal(given, &v) != nil || !empty(v)) {
		r.fail(batch.Unbuilt(name, instead))
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !empty(inner) {
				return false
			}
		}
		return true
	}
	return false
}

// word reads a value that is one of a few words. The service keeps them folded.
func (r *poolReader) word(name, value string, of words) string {
	if value != "" && !of.has(value) {
		r.fail(batch.BadProperty(name, value, "it must be one of "+strings.Join(of, ", ")))
	}
	return resource.Fold(value)
}

func (r *poolReader) number(name string, n *rest.Int) int {
	if *n > math.MaxInt32 || *n < math.MinInt32 {
		r.fail(batch.BadProperty(name, fmt.Sprint(*n), "the number is too large"))
		return 0
	}
	return int(*n)
}

// poolEdit returns what a body changes in a specification. The identities that it
// names are looked up here, because specifications are changed inside a transaction.
func (d *Door) poolEdit(ctx context.Context, who identity.Caller, acct batch.Account, in poolIn) (func(*batch.PoolSpec) error, error) {
	var identities []string
	if in.Identity != nil {
		var err error
		if identities, err = d.poolIdentities(ctx, who, *in.Identity); err != nil {
			return nil, err
		}
	}
	return func(s *batch.PoolSpec) error {
		if in.Identity != nil {
			s.Identities = identities
		}
		r := &poolReader{acct: acct}
		in.apply(r, s)
		return r.err
	}, nil
}

// poolIdentities returns the ids of the identities that a pool shall have.
func (d *Door) poolIdentities(ctx context.Context, who identity.Caller, in accountIdentityIn) ([]string, error) {
	const onlyForKeys = "A system-assigned identity belongs to the Batch account and is used only to get the customer-managed key from its vault. " +
		"To use one identity on the account and on its pools, assign a common user-assigned identity."
	ids := (accountIn{Identity: rest.Field[accountIdentityIn]{Set: true, Value: in}}).identity().User
	switch kind := resource.Fold(in.Type); {
	case strings.Contains(kind, "systemassigned"):
		return nil, fault.SystemIdentityOnPool.New("The identity type '%.64s' is not supported on a pool: a pool may have user-assigned identities only. %s", in.Type, onlyForKeys)
	case kind == "none" && len(ids) > 0:
		return nil, fault.InvalidIdentity.New("The identity type 'None' cannot have user-assigned identities. Use the type 'UserAssigned', or leave 'userAssignedIdentities' out.")
	case kind == "none":
		return nil, nil
	case kind != "userassigned":
		return nil, fault.InvalidIdentity.New("The identity type '%.64s' is not one: the identity of a pool must be 'UserAssigned' or 'None'.", in.Type)
	case len(ids) == 0:
		return nil, fault.InvalidIdentity.New("The identity type 'UserAssigned' needs at least one identity in 'userAssignedIdentities'.")
	}
	for _, id := range ids {
		parsed, err := resource.ParseID(id)
		if err == nil && parsed.Provider != "" && !parsed.Is(identity.UserAssignedType) {
			return nil, fault.SystemIdentityOnPool.New("'%.512s' is not a user-assigned identity, and a pool may have no other. %s", id, onlyForKeys)
		}
		if err != nil || !parsed.Is(identity.UserAssignedType) || parsed.Group == "" {
			return nil, fault.InvalidIdentity.New("'%.512s' is not the resource id of a user-assigned identity.", id)
		}
		m, err := d.Directory.Identity(ctx, id)
		if errors.Is(err, fault.NotFound) || err == nil && m.System {
			return nil, fault.FailedIdentityOperation.New("Identity operation failed: the user-assigned identity '%s' was not found.", id)
		}
		if err != nil {
			return nil, err
		}
		const assign = identityActions + "/assign/action"
		may, err := d.Directory.May(ctx, who, assign, id)
		if err != nil {
			return nil, err
		}
		if !may {
			return nil, fault.LinkedAuthorization.New("The client '%s' with object id '%s' has permission to perform action '%s/write'; however, it does not have permission "+
				"to perform action '%s' on the linked scope '%s' or the linked scope is invalid.", who.AppID, who.ObjectID, poolType, assign, id)
		}
	}
	return ids, nil
}

// apply puts what a body says into a specification.
func (in poolIn) apply(r *poolReader, s *batch.PoolSpec) {
	p := in.Properties
	if in.Tags != nil {
		s.Tags = in.Tags
	}
	set(&s.DisplayName, p.DisplayName)
	set(&s.VMSize, p.VMSize)
	if p.Deployment != nil {
		p.Deployment.apply(r, s)
	}
	if p.Scale != nil {
		p.Scale.apply(r, s)
	}
	if p.InterNode != nil {
		s.InterNode = r.word("properties.interNodeCommunication", *p.InterNode, onOff) == "enabled"
	}
	if p.Network != nil {
		p.Network.apply(r, s)
	}
	if p.Slots != nil {
		s.Slots = r.number("properties.taskSlotsPerNode", p.Slots)
		if s.Slots == 0 {
			// The service takes 0 for its default; who writes it gets it refused, as in Azure.
			r.fail(batch.BadProperty("properties.taskSlotsPerNode", "0", "it must be 1 or more"))
		}
	}
	if p.Scheduling != nil {
		if p.Scheduling.NodeFillType == "" {
			r.fail(batch.NoProperty("properties.taskSchedulingPolicy.nodeFillType"))
		}
		s.Fill = r.word("properties.taskSchedulingPolicy.nodeFillType", p.Scheduling.NodeFillType, fills)
	}
	if p.Users != nil {
		s.Users = usersIn(r, p.Users)
	}
	if p.Metadata != nil {
		s.Metadata = nil
		for _, m := range p.Metadata {
			s.Metadata = append(s.Metadata, batch.Pair(m))
		}
	}
	if p.StartTask != nil {
		s.StartTask = p.StartTask.task(r)
	}
	if p.Certificates != nil {
		s.Certificates = certificateUsesIn(r, p.Certificates)
	}
	r.refuse("properties.applicationPackages", p.ApplicationPackages, "put what tasks need into resourceFiles")
	r.refuse("properties.applicationLicenses", p.ApplicationLicenses, "")
	r.refuse("properties.mountConfiguration", p.Mounts, "")
	if p.Communication != nil {
		s.Communication = r.word("properties.targetNodeCommunicationMode", *p.Communication, communications)
	}
	if p.Upgrade != nil {
		s.Upgrade = r.word("properties.upgradePolicy.mode", p.Upgrade.Mode, upgrades)
		if s.Upgrade == "" {
			r.fail(batch.NoProperty("properties.upgradePolicy.mode"))
		}
		r.refuse("properties.upgradePolicy.automaticOSUpgradePolicy", p.Upgrade.Automatic, "")
		r.refuse("properties.upgradePolicy.rollingUpgradePolicy", p.Upgrade.Rolling, "")
	}
	r.refuse("properties.resourceTags", p.ResourceTags, "it is for accounts whose pools are in the customer's own subscription; use tags")
}

func set(to, from *string) {
	if from != nil {
		*to = *from
	}
}

func (in deploymentIn) apply(r *poolReader, s *batch.PoolSpec) {
	const at = "properties.deploymentConfiguration.virtualMachineConfiguration"
	s.Machine, s.CloudService = nil, nil
	if c := in.CloudService; c != nil {
		s.CloudService = &batch.CloudService{OSFamily: c.OSFamily, OSVersion: c.OSVersion}
		if c.OSVersion == "" {
			s.CloudService.OSVersion = "*"
		}
	}
	m := in.Machine
	if m == nil {
		return
	}
	r.refuse(at+".windowsConfiguration", m.Windows, "the nodes of this service run Linux")
	r.refuse(at+".dataDisks", m.DataDisks, "")
	r.refuse(at+".containerConfiguration", m.Containers, "")
	r.refuse(at+".diskEncryptionConfiguration", m.DiskEncryption, "")
	r.refuse(at+".extensions", m.Extensions, "use a start task")
	r.refuse(at+".securityProfile", m.Security, "")
	r.refuse(at+".serviceArtifactReference", m.ServiceArtifact, "")
	s.Machine = &batch.Machine{NodeAgent: m.NodeAgent, LicenseType: m.LicenseType}
	if i := m.Image; i == nil {
		r.fail(batch.NoProperty(at + ".imageReference"))
	} else {
		s.Machine.Image = batch.Image{
			Publisher: i.Publisher, Offer: i.Offer, SKU: i.SKU, Version: i.Version, VirtualMachineImageID: i.ID,
			SharedGalleryImageID: i.SharedGalleryImageID, CommunityGalleryImageID: i.CommunityGalleryImageID,
		}
	}
	if m.Placement != nil {
		s.Machine.Placement = r.word(at+".nodePlacementConfiguration.policy", m.Placement.Policy, placements)
	}
	if disk := m.OSDisk; disk != nil {
		s.Machine.OSDisk = &batch.OSDisk{Caching: r.word(at+".osDisk.caching", disk.Caching, cachings), WriteAccelerator: disk.WriteAccelerator}
		if disk.Ephemeral != nil {
			s.Machine.OSDisk.Ephemeral = r.word(at+".osDisk.ephemeralOSDiskSettings.placement", disk.Ephemeral.Placement, ephemerals)
		}
		if disk.Managed != nil {
			s.Machine.OSDisk.StorageAccountType = r.word(at+".osDisk.managedDisk.storageAccountType", disk.Managed.StorageAccountType, storages)
			r.refuse(at+".osDisk.managedDisk.securityProfile", disk.Managed.Security, "")
		}
		if disk.SizeGB != nil {
			s.Machine.OSDisk.SizeGB = r.number(at+".osDisk.diskSizeGB", disk.SizeGB)
		}
	}
}

func (in scaleIn) apply(r *poolReader, s *batch.PoolSpec) {
	const at = "properties.scaleSettings.fixedScale"
	r.refuse("properties.scaleSettings.autoScale", in.Auto, "give fixedScale")
	f := in.Fixed
	if f == nil {
		r.fail(batch.NoProperty(at))
		return
	}
	if f.Dedicated == nil && f.LowPriority == nil {
		r.fail(batch.NoProperty(at + ".targetDedicatedNodes"))
	}
	if f.Dedicated != nil {
		s.Dedicated = r.number(at+".targetDedicatedNodes", f.Dedicated)
	}
	if f.LowPriority != nil {
		s.LowPriority = r.number(at+".targetLowPriorityNodes", f.LowPriority)
	}
	if f.ResizeTimeout != nil {
		t, err := rest.ParseDuration(*f.ResizeTimeout)
		if err != nil {
			r.fail(batch.BadProperty(at+".resizeTimeout", *f.ResizeTimeout, "it is not an ISO 8601 duration such as PT15M"))
		}
		if err == nil && t == 0 {
			r.fail(batch.BadProperty(at+".resizeTimeout", *f.ResizeTimeout, "it must be at least 5m0s"))
		}
		s.ResizeTimeout = time.Duration(t)
	}
	if f.Deallocation != nil {
		s.Deallocation = r.word(at+".nodeDeallocationOption", *f.Deallocation, deallocations)
		if s.Deallocation == "retaineddata" {
			r.fail(batch.Unbuilt(at+".nodeDeallocationOption RetainedData", "use TaskCompletion"))
		}
	}
}

func (in poolNetworkIn) apply(r *poolReader, s *batch.PoolSpec) {
	const at = "properties.networkConfiguration"
	if in.Subnet != "" {
		r.fail(batch.Unbuilt(at+".subnetId", "nodes are in the network of their host"))
	}
	if r.word(at+".dynamicVnetAssignmentScope", in.Scope, scopes) == "job" {
		r.fail(batch.Unbuilt(at+".dynamicVnetAssignmentScope job", ""))
	}
	if in.Endpoint != nil {
		r.refuse(at+".endpointConfiguration.inboundNatPools", in.Endpoint.NATPools, "")
	}
	if in.Accelerated {
		r.fail(batch.Unbuilt(at+".enableAcceleratedNetworking", ""))
	}
	s.HasPublicIP, s.NoPublicIP = in.PublicIP != nil, false
	if in.PublicIP == nil {
		return
	}
	switch r.word(at+".publicIPAddressConfiguration.provision", in.PublicIP.Provision, provisions) {
	case "usermanaged":
		r.fail(batch.Unbuilt(at+".publicIPAddressConfiguration.provision UserManaged", "nodes have the address of their host"))
	case "nopublicipaddresses":
		s.NoPublicIP = true
	}
	r.refuse(at+".publicIPAddressConfiguration.ipAddressIds", in.PublicIP.Addresses, "")
}

func usersIn(r *poolReader, in []poolUserIn) []batch.UserAccount {
	var out []batch.UserAccount
	for i, u := range in {
		at := fmt.Sprintf("properties.userAccounts[%d]", i)
		r.refuse(at+".windowsUserConfiguration", u.Windows, "the nodes of this service run Linux")
		user := batch.UserAccount{Name: u.Name, Password: u.Password, Elevation: r.word(at+".elevationLevel", u.Elevation, elevations)}
		if u.Linux != nil {
			user.SSHPrivateKey = u.Linux.SSHPrivateKey
			if u.Linux.UID != nil {
				n := r.number(at+".linuxUserConfiguration.uid", u.Linux.UID)
				user.UID = &n
			}
			if u.Linux.GID != nil {
				n := r.number(at+".linuxUserConfiguration.gid", u.Linux.GID)
				user.GID = &n
			}
		}
		out = append(out, user)
	}
	return out
}

// task returns the start task; an empty one takes a pool's away.
func (in startTaskIn) task(r *poolReader) *batch.StartTask {
	const at = "properties.startTask"
	r.refuse(at+".containerSettings", in.Container, "")
	if in.CommandLine == "" && in.Files == nil && in.Env == nil && in.User == nil && in.MaxRetries == nil && in.WaitForSuccess == nil {
		return nil
	}
	out := &batch.StartTask{CommandLine: in.CommandLine, WaitForSuccess: in.WaitForSuccess == nil || *in.WaitForSuccess}
	for i, f := range in.Files {
		at := fmt.Sprintf("%s.resourceFiles[%d]", at, i)
		r.refuse(at+".autoStorageContainerName", f.AutoStorage, "give httpUrl")
		r.refuse(at+".storageContainerUrl", f.Container, "give httpUrl")
		r.refuse(at+".blobPrefix", f.Prefix, "give httpUrl")
		r.refuse(at+".identityReference", f.Identity, "give a httpUrl that can be read without an identity")
		out.Files = append(out.Files, batch.ResourceFile{URL: f.URL, Path: f.Path, Mode: f.Mode})
	}
	for _, v := range in.Env {
		out.Env = append(out.Env, batch.EnvVar(v))
	}
	if u := in.User; u != nil {
		out.User = &batch.UserIdentity{Username: u.Username}
		if u.AutoUser != nil {
			out.User.Scope = r.word(at+".userIdentity.autoUser.scope", u.AutoUser.Scope, userScopes)
			out.User.Elevation = r.word(at+".userIdentity.autoUser.elevationLevel", u.AutoUser.Elevation, elevations)
		}
	}
	if in.MaxRetries != nil {
		out.MaxRetries = r.number(at+".maxTaskRetryCount", in.MaxRetries)
	}
	return out
}

// certificateUsesIn reads references by the ids of certificates of the same account.
func certificateUsesIn(r *poolReader, in []certificateUseJSON) []batch.CertificateReference {
	var out []batch.CertificateReference
	for i, c := range in {
		at := fmt.Sprintf("properties.certificates[%d]", i)
		if c.ID == "" {
			r.fail(batch.NoProperty(at + ".id"))
			continue
		}
		id, err := resource.ParseID(c.ID)
		algorithm, thumbprint, ok := strings.Cut(id.Name(), "-")
		if err != nil || !id.Is(certificateType) || !ok || !resource.Within(c.ID, r.acct.ID) {
			r.fail(batch.BadProperty(at+".id", c.ID, "it must be the id of a certificate of this account"))
			continue
		}
		ref := batch.CertificateReference{
			Thumbprint: thumbprint, Algorithm: resource.Fold(algorithm),
			StoreLocation: r.word(at+".storeLocation", c.StoreLocation, storeLocations), StoreName: c.StoreName,
		}
		for _, v := range c.Visibility {
			ref.Visibility = append(ref.Visibility, r.word(at+".visibility", v, visibilities))
		}
		out = append(out, ref)
	}
	return out
}
