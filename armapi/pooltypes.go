package armapi

import (
	"encoding/json"
	"time"

	"latchkey/rest"
)

// poolIn is the body of PUT and PATCH: what is absent or null says nothing. Properties
// of which only a refusal can be told are read as they come.
type poolIn struct {
	Tags       map[string]string  `json:"tags"`
	Identity   *accountIdentityIn `json:"identity"`
	Properties struct {
		DisplayName         *string              `json:"displayName"`
		VMSize              *string              `json:"vmSize"`
		Deployment          *deploymentIn        `json:"deploymentConfiguration"`
		Scale               *scaleIn             `json:"scaleSettings"`
		InterNode           *string              `json:"interNodeCommunication"`
		Network             *poolNetworkIn       `json:"networkConfiguration"`
		Slots               *rest.Int            `json:"taskSlotsPerNode"`
		Scheduling          *schedulingJSON      `json:"taskSchedulingPolicy"`
		Users               []poolUserIn         `json:"userAccounts"`
		Metadata            []nameValueJSON      `json:"metadata"`
		StartTask           *startTaskIn         `json:"startTask"`
		Certificates        []certificateUseJSON `json:"certificates"`
		ApplicationPackages json.RawMessage      `json:"applicationPackages"`
		ApplicationLicenses json.RawMessage      `json:"applicationLicenses"`
		Mounts              json.RawMessage      `json:"mountConfiguration"`
		Communication       *string              `json:"targetNodeCommunicationMode"`
		Upgrade             *upgradeIn           `json:"upgradePolicy"`
		ResourceTags        json.RawMessage      `json:"resourceTags"`
	} `json:"properties"`
}

type deploymentIn struct {
	Machine      *machineIn        `json:"virtualMachineConfiguration"`
	CloudService *cloudServiceJSON `json:"cloudServiceConfiguration"`
}

type deploymentOut struct {
	Machine      *machineJSON      `json:"virtualMachineConfiguration,omitempty"`
	CloudService *cloudServiceJSON `json:"cloudServiceConfiguration,omitempty"`
}

type cloudServiceJSON struct {
	OSFamily  string `json:"osFamily"`
	OSVersion string `json:"osVersion,omitempty"`
}

type machineJSON struct {
	Image       *imageJSON     `json:"imageReference"`
	NodeAgent   string         `json:"nodeAgentSkuId"`
	LicenseType string         `json:"licenseType,omitempty"`
	Placement   *placementJSON `json:"nodePlacementConfiguration,omitempty"`
	OSDisk      *osDiskJSON    `json:"osDisk,omitempty"`
}

type machineIn struct {
	machineJSON
	Windows         json.RawMessage `json:"windowsConfiguration"`
	DataDisks       json.RawMessage `json:"dataDisks"`
	Containers      json.RawMessage `json:"containerConfiguration"`
	DiskEncryption  json.RawMessage `json:"diskEncryptionConfiguration"`
	Extensions      json.RawMessage `json:"extensions"`
	Security        json.RawMessage `json:"securityProfile"`
	ServiceArtifact json.RawMessage `json:"serviceArtifactReference"`
}

type imageJSON struct {
	Publisher               string `json:"publisher,omitempty"`
	Offer                   string `json:"offer,omitempty"`
	SKU                     string `json:"sku,omitempty"`
	Version                 string `json:"version,omitempty"`
	ID                      string `json:"id,omitempty"`
	SharedGalleryImageID    string `json:"sharedGalleryImageId,omitempty"`
	CommunityGalleryImageID string `json:"communityGalleryImageId,omitempty"`
}

type placementJSON struct {
	Policy string `json:"policy"`
}

type osDiskJSON struct {
	Ephemeral        *ephemeralJSON   `json:"ephemeralOSDiskSettings,omitempty"`
	Caching          string           `json:"caching,omitempty"`
	Managed          *managedDiskJSON `json:"managedDisk,omitempty"`
	SizeGB           *rest.Int        `json:"diskSizeGB,omitempty"`
	WriteAccelerator *bool            `json:"writeAcceleratorEnabled,omitempty"`
}

type ephemeralJSON struct {
	Placement string `json:"placement,omitempty"`
}

type managedDiskJSON struct {
	StorageAccountType string          `json:"storageAccountType,omitempty"`
	Security           json.RawMessage `json:"securityProfile,omitempty"`
}

type scaleIn struct {
	Fixed *fixedScaleIn   `json:"fixedScale"`
	Auto  json.RawMessage `json:"autoScale"`
}

type fixedScaleIn struct {
	ResizeTimeout *string   `json:"resizeTimeout"`
	Dedicated     *rest.Int `json:"targetDedicatedNodes"`
	LowPriority   *rest.Int `json:"targetLowPriorityNodes"`
	Deallocation  *string   `json:"nodeDeallocationOption"`
}

type scaleOut struct {
	Fixed fixedScaleOut `json:"fixedScale"`
}

type fixedScaleOut struct {
	ResizeTimeout rest.Duration `json:"resizeTimeout"`
	Dedicated     int           `json:"targetDedicatedNodes"`
	LowPriority   int           `json:"targetLowPriorityNodes"`
	Deallocation  string        `json:"nodeDeallocationOption,omitempty"`
}

type poolNetworkIn struct {
	Subnet   string `json:"subnetId"`
	Scope    string `json:"dynamicVnetAssignmentScope"`
	Endpoint *struct {
		NATPools json.RawMessage `json:"inboundNatPools"`
	} `json:"endpointConfiguration"`
	PublicIP *struct {
		Provision string          `json:"provision"`
		Addresses json.RawMessage `json:"ipAddressIds"`
	} `json:"publicIPAddressConfiguration"`
	Accelerated bool `json:"enableAcceleratedNetworking"`
}

type poolNetworkOut struct {
	Scope    string      `json:"dynamicVnetAssignmentScope"`
	PublicIP publicIPOut `json:"publicIPAddressConfiguration"`
}

type publicIPOut struct {
	Provision string `json:"provision"`
}

type schedulingJSON struct {
	NodeFillType string `json:"nodeFillType"`
}

type poolUserIn struct {
	Name      string          `json:"name"`
	Password  string          `json:"password"`
	Elevation string          `json:"elevationLevel"`
	Windows   json.RawMessage `json:"windowsUserConfiguration"`
	Linux     *struct {
		UID           *rest.Int `json:"uid"`
		GID           *rest.Int `json:"gid"`
		SSHPrivateKey string    `json:"sshPrivateKey"`
	} `json:"linuxUserConfiguration"`
}

// poolUserOut has no password and no private key: they are never told.
type poolUserOut struct {
	Name      string        `json:"name"`
	Elevation string        `json:"elevationLevel"`
	Linux     *linuxUserOut `json:"linuxUserConfiguration,omitempty"`
}

type linuxUserOut struct {
	UID *int `json:"uid,omitempty"`
	GID *int `json:"gid,omitempty"`
}

// nameValueJSON is metadata or a variable. The value is always told: tools follow it.
type nameValueJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type startTaskIn struct {
	CommandLine    string             `json:"commandLine"`
	Files          []resourceFileIn   `json:"resourceFiles"`
	Env            []nameValueJSON    `json:"environmentSettings"`
	User           *startTaskUserJSON `json:"userIdentity"`
	MaxRetries     *rest.Int          `json:"maxTaskRetryCount"`
	WaitForSuccess *bool              `json:"waitForSuccess"`
	Container      json.RawMessage    `json:"containerSettings"`
}

type startTaskOut struct {
	CommandLine    string             `json:"commandLine"`
	Files          []resourceFileJSON `json:"resourceFiles,omitempty"`
	Env            []nameValueJSON    `json:"environmentSettings,omitempty"`
	User           *startTaskUserJSON `json:"userIdentity,omitempty"`
	MaxRetries     int                `json:"maxTaskRetryCount"`
	WaitForSuccess bool               `json:"waitForSuccess"`
}

type resourceFileJSON struct {
	URL  string `json:"httpUrl"`
	Path string `json:"filePath,omitempty"`
	Mode string `json:"fileMode,omitempty"`
}

type resourceFileIn struct {
	resourceFileJSON
	AutoStorage json.RawMessage `json:"autoStorageContainerName"`
	Container   json.RawMessage `json:"storageContainerUrl"`
	Prefix      json.RawMessage `json:"blobPrefix"`
	Identity    json.RawMessage `json:"identityReference"`
}

type startTaskUserJSON struct {
	Username string        `json:"userName,omitempty"`
	AutoUser *autoUserJSON `json:"autoUser,omitempty"`
}

type autoUserJSON struct {
	Scope     string `json:"scope,omitempty"`
	Elevation string `json:"elevationLevel,omitempty"`
}

type certificateUseJSON struct {
	ID            string   `json:"id"`
	StoreLocation string   `json:"storeLocation,omitempty"`
	StoreName     string   `json:"storeName,omitempty"`
	Visibility    []string `json:"visibility,omitempty"`
}

type upgradeIn struct {
	Mode      string          `json:"mode"`
	Automatic json.RawMessage `json:"automaticOSUpgradePolicy"`
	Rolling   json.RawMessage `json:"rollingUpgradePolicy"`
}

type upgradeOut struct {
	Mode string `json:"mode"`
}

type poolOut struct {
	proxyOut
	Identity   *poolIdentityOut  `json:"identity,omitempty"`
	Properties poolPropertiesOut `json:"properties"`
}

type poolIdentityOut struct {
	Type string                     `json:"type"`
	User map[string]userIdentityOut `json:"userAssignedIdentities"`
}

type poolPropertiesOut struct {
	DisplayName   string               `json:"displayName,omitempty"`
	Modified      time.Time            `json:"lastModified"`
	Created       time.Time            `json:"creationTime"`
	State         string               `json:"provisioningState"`
	StateAt       time.Time            `json:"provisioningStateTransitionTime"`
	Allocation    string               `json:"allocationState"`
	AllocationAt  time.Time            `json:"allocationStateTransitionTime"`
	VMSize        string               `json:"vmSize"`
	Deployment    deploymentOut        `json:"deploymentConfiguration"`
	Dedicated     int                  `json:"currentDedicatedNodes"`
	LowPriority   int                  `json:"currentLowPriorityNodes"`
	Scale         scaleOut             `json:"scaleSettings"`
	InterNode     string               `json:"interNodeCommunication"`
	Network       *poolNetworkOut      `json:"networkConfiguration,omitempty"`
	Slots         int                  `json:"taskSlotsPerNode"`
	Scheduling    schedulingJSON       `json:"taskSchedulingPolicy"`
	Users         []poolUserOut        `json:"userAccounts,omitempty"`
	Metadata      []nameValueJSON      `json:"metadata,omitempty"`
	StartTask     *startTaskOut        `json:"startTask,omitempty"`
	Certificates  []certificateUseJSON `json:"certificates,omitempty"`
	Resize        resizeOut            `json:"resizeOperationStatus"`
	Communication string               `json:"targetNodeCommunicationMode,omitempty"`
	Upgrade       *upgradeOut          `json:"upgradePolicy,omitempty"`
}

// resizeOut is the resize that goes on, or the last one.
type resizeOut struct {
	Dedicated     int              `json:"targetDedicatedNodes"`
	LowPriority   int              `json:"targetLowPriorityNodes"`
	ResizeTimeout rest.Duration    `json:"resizeTimeout"`
	Deallocation  string           `json:"nodeDeallocationOption"`
	Started       *time.Time       `json:"startTime,omitempty"`
	Errors        []detailedErrOut `json:"errors,omitempty"`
}

// detailedErrOut is a failure that is told inside of something.
type detailedErrOut struct {
	Code    string           `json:"code"`
	Message string           `json:"message"`
	Details []detailedErrOut `json:"details,omitempty"`
}
