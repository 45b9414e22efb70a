package batchapi

import (
	"cmp"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/rest"
)

// poolBody is a pool as clients send it, to add one or, in parts, to change it.
type poolBody struct {
	ID            string                  `json:"id"`
	DisplayName   *string                 `json:"displayName"`
	VMSize        string                  `json:"vmSize"`
	Machine       *machine                `json:"virtualMachineConfiguration"`
	CloudService  *cloudService           `json:"cloudServiceConfiguration"`
	ResizeTimeout *rest.Duration          `json:"resizeTimeout"`
	Dedicated     *rest.Int               `json:"targetDedicatedNodes"`
	LowPriority   *rest.Int               `json:"targetLowPriorityNodes"`
	InterNode     *bool                   `json:"enableInterNodeCommunication"`
	StartTask     rest.Field[startTask]   `json:"startTask"`
	Certificates  *[]certificateReference `json:"certificateReferences"`
	Slots         *rest.Int               `json:"taskSlotsPerNode"`
	MaxTasks      *rest.Int               `json:"maxTasksPerNode"`
	Scheduling    *scheduling             `json:"taskSchedulingPolicy"`
	Users         *[]userAccount          `json:"userAccounts"`
	Metadata      *[]nameValue            `json:"metadata"`
	Communication *string                 `json:"targetNodeCommunicationMode"`
	Network       *network                `json:"networkConfiguration"`
	Upgrade       *upgradePolicy          `json:"upgradePolicy"`
	ResourceTags  *map[string]string      `json:"resourceTags"`
	AutoScale     unbuilt                 `json:"enableAutoScale"`
	Formula       unbuilt                 `json:"autoScaleFormula"`
	AutoInterval  unbuilt                 `json:"autoScaleEvaluationInterval"`
	Packages      *[]packageReference     `json:"applicationPackageReferences"`
	Licenses      unbuilt                 `json:"applicationLicenses"`
	Mounts        unbuilt                 `json:"mountConfiguration"`
	// Identity is of Resource Manager's pools. It is refused here, because who sends it
	// would take the pool for one that has it.
	Identity unbuilt `json:"identity"`
}

type packageReference struct {
	ApplicationID string `json:"applicationId"`
	Version       string `json:"version"`
}

type cloudService struct {
	OSFamily  string `json:"osFamily"`
	OSVersion string `json:"osVersion,omitempty"`
}

type scheduling struct {
	Fill string `json:"nodeFillType"`
}

type upgradePolicy struct {
	Mode      string  `json:"mode"`
	Automatic unbuilt `json:"automaticOSUpgradePolicy,omitempty"`
	Rolling   unbuilt `json:"rollingUpgradePolicy,omitempty"`
}

// network is what can be said of a pool's network without changing it: nodes have
// that of their host.
type network struct {
	Subnet      string    `json:"subnetId,omitempty"`
	Scope       string    `json:"dynamicVNetAssignmentScope,omitempty"`
	Endpoints   unbuilt   `json:"endpointConfiguration,omitempty"`
	PublicIP    *publicIP `json:"publicIPAddressConfiguration,omitempty"`
	Accelerated *bool     `json:"enableAcceleratedNetworking,omitempty"`
}

type publicIP struct {
	Provision string   `json:"provision,omitempty"`
	Addresses []string `json:"ipAddressIds,omitempty"`
}

func (n *network) apply(p *batch.PoolSpec) error {
	if n == nil {
		return nil
	}
	const at = "networkConfiguration."
	switch {
	case n.Subnet != "":
		return batch.Unbuilt(at+"subnetId", "nodes have the network of their host")
	case says(n.Endpoints):
		return batch.Unbuilt(at+"endpointConfiguration", "nodes have the network of their host")
	case n.Scope != "" && !strings.EqualFold(n.Scope, "none"):
		return batch.Unbuilt(at+"dynamicVNetAssignmentScope", "use none")
	case n.Accelerated != nil && *n.Accelerated:
		return batch.Unbuilt(at+"enableAcceleratedNetworking", "")
	case n.PublicIP != nil && len(n.PublicIP.Addresses) > 0:
		return batch.Unbuilt(at+"publicIPAddressConfiguration.ipAddressIds", "")
	}
	p.HasPublicIP = n.PublicIP != nil
	p.NoPublicIP = false
	if n.PublicIP != nil {
		switch strings.ToLower(n.PublicIP.Provision) {
		case "", "batchmanaged":
		case "nopublicipaddresses":
			p.NoPublicIP = true
		default:
			return batch.Unbuilt(at+"publicIPAddressConfiguration.provision", "use batchmanaged or nopublicipaddresses")
		}
	}
	return nil
}

type certificateReference struct {
	Thumbprint    string   `json:"thumbprint"`
	Algorithm     string   `json:"thumbprintAlgorithm"`
	StoreLocation string   `json:"storeLocation,omitempty"`
	StoreName     string   `json:"storeName,omitempty"`
	Visibility    []string `json:"visibility,omitempty"`
}

type userAccount struct {
	Name      string     `json:"name"`
	Password  string     `json:"password,omitempty"`
	Elevation string     `json:"elevationLevel,omitempty"`
	Linux     *linuxUser `json:"linuxUserConfiguration,omitempty"`
	Windows   unbuilt    `json:"windowsUserConfiguration,omitempty"`
}

type linuxUser struct {
	UID *rest.Int `json:"uid,omitempty"`
	GID *rest.Int `json:"gid,omitempty"`
	Key string    `json:"sshPrivateKey,omitempty"`
}

func users(in []userAccount) ([]batch.UserAccount, error) {
	var out []batch.UserAccount
	for _, u := range in {
		if says(u.Windows) {
			return nil, batch.Unbuilt("userAccounts.windowsUserConfiguration", "the nodes run Linux")
		}
		a := batch.UserAccount{Name: u.Name, Password: u.Password, Elevation: strings.ToLower(u.Elevation)}
		if l := u.Linux; l != nil {
			a.SSHPrivateKey = l.Key
			if l.UID != nil {
				n := int(*l.UID)
				a.UID = &n
			}
			if l.GID != nil {
				n := int(*l.GID)
				a.GID = &n
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// usersOut leaves out passwords and keys.
func usersOut(in []batch.UserAccount) []userAccount {
	var out []userAccount
	for _, u := range in {
		a := userAccount{Name: u.Name, Elevation: u.Elevation}
		if u.UID != nil && u.GID != nil {
			uid, gid := rest.Int(*u.UID), rest.Int(*u.GID)
			a.Linux = &linuxUser{UID: &uid, GID: &gid}
		}
		out = append(out, a)
	}
	return out
}

type startTask struct {
	CommandLine    string         `json:"commandLine"`
	Container      unbuilt        `json:"containerSettings,omitempty"`
	ResourceFiles  []resourceFile `json:"resourceFiles,omitempty"`
	Environment    []nameValue    `json:"environmentSettings,omitempty"`
	User           *userIdentity  `json:"userIdentity,omitempty"`
	MaxRetries     *rest.Int      `json:"maxTaskRetryCount,omitempty"`
	WaitForSuccess *bool          `json:"waitForSuccess,omitempty"`
}

func (t *startTask) in() (*batch.StartTask, error) {
	if says(t.Container) {
		return nil, batch.Unbuilt("startTask.containerSettings", "tasks run as processes")
	}
	if err := whole("startTask.maxTaskRetryCount", t.MaxRetries); err != nil {
		return nil, err
	}
	files, err := resourceFiles("startTask.resourceFiles", t.ResourceFiles)
	if err != nil {
		return nil, err
	}
	return &batch.StartTask{
		CommandLine: t.CommandLine, Env: environment(t.Environment), Files: files, User: t.User.in(),
		MaxRetries: number(t.MaxRetries, 0), WaitForSuccess: t.WaitForSuccess == nil || *t.WaitForSuccess,
	}, nil
}

func startTaskOut(t *batch.StartTask) *startTask {
	if t == nil {
		return nil
	}
	n := rest.Int(t.MaxRetries)
	return &startTask{
		CommandLine: t.CommandLine, Environment: environmentOut(t.Env), ResourceFiles: resourceFilesOut(t.Files),
		User: userOut(t.User), MaxRetries: &n, WaitForSuccess: &t.WaitForSuccess,
	}
}

// apply puts what the body says into a pool. What it does not say stays.
func (b *poolBody) apply(p *batch.PoolSpec) error {
	err := refuse(
		refusal{"enableAutoScale", b.AutoScale, "give targetDedicatedNodes"},
		refusal{"autoScaleFormula", b.Formula, "give targetDedicatedNodes"},
		refusal{"autoScaleEvaluationInterval", b.AutoInterval, "give targetDedicatedNodes"},
		refusal{"applicationLicenses", b.Licenses, ""},
		refusal{"mountConfiguration", b.Mounts, "the nodes have no storage to mount"},
		refusal{"identity", b.Identity, "give a pool its user-assigned identities through Resource Manager"},
	)
	if err != nil {
		return err
	}
	for name, n := range map[string]*rest.Int{
		"targetDedicatedNodes": b.Dedicated, "targetLowPriorityNodes": b.LowPriority, "taskSlotsPerNode": b.Slots, "maxTasksPerNode": b.MaxTasks,
	} {
		if err := whole(name, n); err != nil {
			return err
		}
	}
	if b.Packages != nil && len(*b.Packages) > 0 {
		return batch.Unbuilt("applicationPackageReferences", "the account has no applications; use resource files")
	}
	if b.DisplayName != nil {
		p.DisplayName = *b.DisplayName
	}
	if b.VMSize != "" {
		p.VMSize = b.VMSize
	}
	if b.Machine != nil {
		if p.Machine, err = b.Machine.in(); err != nil {
			return err
		}
	}
	if b.CloudService != nil {
		p.CloudService = &batch.CloudService{OSFamily: b.CloudService.OSFamily, OSVersion: b.CloudService.OSVersion}
	}
	if b.InterNode != nil {
		p.InterNode = *b.InterNode
	}
	if b.StartTask.Set {
		p.StartTask = nil
		if !b.StartTask.Null {
			// An empty start task takes the old one away, as in Azure's PATCH.
			if b.StartTask.Value.CommandLine != "" || p.ID == "" || len(b.StartTask.Value.ResourceFiles) > 0 {
				if p.StartTask, err = b.StartTask.Value.in(); err != nil {
					return err
				}
			}
		}
	}
	if b.Certificates != nil {
		p.Certificates = nil
		for _, c := range *b.Certificates {
			c.Algorithm, c.StoreLocation = strings.ToLower(c.Algorithm), strings.ToLower(c.StoreLocation)
			p.Certificates = append(p.Certificates, batch.CertificateReference(c))
		}
	}
	slots := b.Slots
	if slots == nil {
		slots = b.MaxTasks
	}
	if slots != nil {
		if *slots < 1 {
			return batch.BadProperty("taskSlotsPerNode", "", "it must be at least 1")
		}
		p.Slots = int(*slots)
	}
	if b.Scheduling != nil {
		if b.Scheduling.Fill == "" {
			return batch.NoProperty("taskSchedulingPolicy.nodeFillType")
		}
		p.Fill = strings.ToLower(b.Scheduling.Fill)
	}
	if b.Users != nil {
		if p.Users, err = users(*b.Users); err != nil {
			return err
		}
	}
	if b.Metadata != nil {
		p.Metadata = pairs(*b.Metadata)
	}
	if b.Communication != nil {
		p.Communication = strings.ToLower(*b.Communication)
	}
	if b.Upgrade != nil {
		if says(b.Upgrade.Automatic) || says(b.Upgrade.Rolling) {
			return batch.Unbuilt("upgradePolicy", "only its mode can be set")
		}
		p.Upgrade = strings.ToLower(b.Upgrade.Mode)
	}
	if b.ResourceTags != nil {
		if len(*b.ResourceTags) > 0 {
			return batch.Unbuilt("resourceTags", "it is for accounts in user subscription mode")
		}
	}
	return b.Network.apply(p)
}

// poolOut is a pool as it travels to clients.
type poolOut struct {
	ID               string                 `json:"id"`
	DisplayName      string                 `json:"displayName,omitempty"`
	URL              string                 `json:"url"`
	ETag             string                 `json:"eTag"`
	LastModified     timestamp              `json:"lastModified"`
	CreationTime     timestamp              `json:"creationTime"`
	State            string                 `json:"state"`
	StateTime        timestamp              `json:"stateTransitionTime"`
	AllocationState  string                 `json:"allocationState"`
	AllocationTime   timestamp              `json:"allocationStateTransitionTime"`
	VMSize           string                 `json:"vmSize"`
	Machine          *machine               `json:"virtualMachineConfiguration,omitempty"`
	CloudService     *cloudService          `json:"cloudServiceConfiguration,omitempty"`
	ResizeTimeout    rest.Duration          `json:"resizeTimeout"`
	ResizeErrors     []resizeError          `json:"resizeErrors,omitempty"`
	CurrentDedicated int                    `json:"currentDedicatedNodes"`
	CurrentLow       int                    `json:"currentLowPriorityNodes"`
	TargetDedicated  int                    `json:"targetDedicatedNodes"`
	TargetLow        int                    `json:"targetLowPriorityNodes"`
	AutoScale        bool                   `json:"enableAutoScale"`
	InterNode        bool                   `json:"enableInterNodeCommunication"`
	Network          *network               `json:"networkConfiguration,omitempty"`
	StartTask        *startTask             `json:"startTask,omitempty"`
	Certificates     []certificateReference `json:"certificateReferences,omitempty"`
	Slots            int                    `json:"taskSlotsPerNode"`
	Scheduling       scheduling             `json:"taskSchedulingPolicy"`
	Users            []userAccount          `json:"userAccounts,omitempty"`
	Metadata         []nameValue            `json:"metadata,omitempty"`
	Identity         *poolIdentity          `json:"identity,omitempty"`
	Communication    string                 `json:"targetNodeCommunicationMode"`
	CommunicationNow string                 `json:"currentNodeCommunicationMode,omitempty"`
	Upgrade          *upgradePolicy         `json:"upgradePolicy,omitempty"`
}

type resizeError struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Values  []nameValue `json:"values,omitempty"`
}

type poolIdentity struct {
	Type  string             `json:"type"`
	Users []identityResource `json:"userAssignedIdentities,omitempty"`
}

type identityResource struct {
	ResourceID string `json:"resourceId"`
}

func writePool(base string, p batch.Pool) poolOut {
	out := poolOut{
		ID: p.ID, DisplayName: p.DisplayName, URL: base + "/pools/" + p.ID, ETag: eTag(p.Modified), LastModified: lastModified(p.Modified),
		CreationTime: timestamp(p.Created), State: p.State, StateTime: timestamp(p.StateAt),
		AllocationState: p.Allocation, AllocationTime: timestamp(p.AllocationAt), VMSize: p.VMSize,
		Machine: machineOut(p.Machine), ResizeTimeout: rest.Duration(p.ResizeTimeout),
		CurrentDedicated: p.CurrentDedicated, CurrentLow: p.CurrentLowPriority, TargetDedicated: p.Dedicated, TargetLow: p.LowPriority,
		InterNode: p.InterNode, StartTask: startTaskOut(p.StartTask), Slots: p.Slots, Scheduling: scheduling{p.Fill},
		Users: usersOut(p.Users), Metadata: pairsOut(p.Metadata), Communication: cmp.Or(p.Communication, "default"),
	}
	if p.CloudService != nil {
		out.CloudService = &cloudService{p.CloudService.OSFamily, p.CloudService.OSVersion}
	}
	for _, e := range p.ResizeErrors {
		out.ResizeErrors = append(out.ResizeErrors, resizeError{e.Code, e.Message, pairsOut(e.Values)})
	}
	out.Certificates = referencesOut(p.Certificates)
	if len(p.Identities) > 0 {
		out.Identity = &poolIdentity{Type: "UserAssigned"}
		for _, id := range p.Identities {
			out.Identity.Users = append(out.Identity.Users, identityResource{id})
		}
	}
	if p.HasPublicIP {
		out.Network = &network{PublicIP: &publicIP{Provision: "batchmanaged"}}
		if p.NoPublicIP {
			out.Network.PublicIP.Provision = "nopublicipaddresses"
		}
	}
	if p.CurrentDedicated+p.CurrentLowPriority > 0 {
		out.CommunicationNow = "simplified"
	}
	if p.Upgrade != "" {
		out.Upgrade = &upgradePolicy{Mode: p.Upgrade}
	}
	return out
}

func referencesOut(in []batch.CertificateReference) []certificateReference {
	var out []certificateReference
	for _, c := range in {
		out = append(out, certificateReference(c))
	}
	return out
}

// resizeBody asks for another number of nodes.
type resizeBody struct {
	Dedicated   *rest.Int      `json:"targetDedicatedNodes"`
	LowPriority *rest.Int      `json:"targetLowPriorityNodes"`
	Timeout     *rest.Duration `json:"resizeTimeout"`
	Option      string         `json:"nodeDeallocationOption"`
	Nodes       []string       `json:"nodeList"`
}

func (b *resizeBody) timeout() time.Duration { return duration(b.Timeout, 0) }

func target(name string, n *rest.Int) (*int, error) {
	if n == nil {
		return nil, nil
	}
	if err := whole(name, n); err != nil {
		return nil, err
	}
	v := int(*n)
	return &v, nil
}
