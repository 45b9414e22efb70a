package batch

import (
	"fmt"
	"time"
)

// An Image names the machine image of a pool.
type Image struct {
	Publisher, Offer, SKU, Version string `json:",omitempty"`
	VirtualMachineImageID          string `json:",omitempty"`
	SharedGalleryImageID           string `json:",omitempty"`
	CommunityGalleryImageID        string `json:",omitempty"`
}

// A Machine is what Azure calls a virtual machine configuration. Its disk settings are
// kept and shown; the nodes of the local provider share the disk of their host.
type Machine struct {
	Image       Image
	NodeAgent   string
	LicenseType string `json:",omitempty"`
	// Placement is "regional" or "zonal".
	Placement string  `json:",omitempty"`
	OSDisk    *OSDisk `json:",omitempty"`
}

// An OSDisk describes the disk of the operating system.
type OSDisk struct {
	Caching, StorageAccountType string `json:",omitempty"`
	Ephemeral                   string `json:",omitempty"` // placement
	SizeGB                      int    `json:",omitempty"`
	WriteAccelerator            *bool  `json:",omitempty"`
}

// A CloudService is the configuration of pools that older versions of the protocol
// had beside the virtual machine.
type CloudService struct{ OSFamily, OSVersion string }

// A UserAccount is a user on each node. Tasks may name it; its password is kept and
// never shown.
type UserAccount struct {
	Name, Password, Elevation string
	UID, GID                  *int   `json:",omitempty"`
	SSHPrivateKey             string `json:",omitempty"`
}

// A CertificateReference puts a certificate on the nodes of a pool.
type CertificateReference struct {
	Thumbprint, Algorithm, StoreLocation, StoreName string
	Visibility                                      []string `json:",omitempty"`
}

// A PoolSpec is what the owner of a pool decides. It is stored inside the pool's
// record by its field names.
type PoolSpec struct {
	ID            string `json:"-"`
	DisplayName   string `json:",omitempty"`
	VMSize        string
	Machine       *Machine      `json:",omitempty"`
	CloudService  *CloudService `json:",omitempty"`
	ResizeTimeout time.Duration
	Dedicated     int
	LowPriority   int
	InterNode     bool                   `json:",omitempty"`
	StartTask     *StartTask             `json:",omitempty"`
	Certificates  []CertificateReference `json:",omitempty"`
	Users         []UserAccount          `json:",omitempty"`
	Slots         int
	Fill          string            // spread or pack
	Metadata      []Pair            `json:",omitempty"`
	Identities    []string          `json:",omitempty"` // ids of user-assigned identities
	Communication string            `json:",omitempty"` // default (also if empty), classic or simplified
	Upgrade       string            `json:",omitempty"` // mode of the upgrade policy
	NoPublicIP    bool              `json:",omitempty"` // publicIPAddressConfiguration.provision is nopublicipaddresses
	HasPublicIP   bool              `json:",omitempty"` // a publicIPAddressConfiguration was given
	ResourceTags  map[string]string `json:",omitempty"`
	Tags          map[string]string `json:",omitempty"` // of the pool as a resource
	Deallocation  string            `json:",omitempty"` // of the last resize
}

// check completes a new pool's defaults and says what cannot be.
func (p *PoolSpec) check() error {
	if err := checkID("id", p.ID); err != nil {
		return err
	}
	if p.VMSize == "" {
		return NoProperty("vmSize")
	}
	if p.ResizeTimeout == 0 {
		p.ResizeTimeout = resizeTimeout
	}
	if p.Slots == 0 {
		p.Slots = 1
	}
	if p.Fill == "" {
		p.Fill = "spread"
	}
	switch {
	case p.Machine == nil && p.CloudService == nil:
		return NoProperty("virtualMachineConfiguration")
	case p.Machine != nil && p.CloudService != nil:
		return BadProperty("cloudServiceConfiguration", "", "it excludes virtualMachineConfiguration")
	case p.CloudService != nil && p.CloudService.OSFamily == "":
		return NoProperty("cloudServiceConfiguration.osFamily")
	}
	if err := p.Machine.check(); err != nil {
		return err
	}
	if err := checkDuration("resizeTimeout", p.ResizeTimeout, minResize); err != nil {
		return err
	}
	if err := checkTargets(p.Dedicated, p.LowPriority); err != nil {
		return err
	}
	return p.checkChangeable()
}

// checkChangeable checks what a pool may change later.
func (p *PoolSpec) checkChangeable() error {
	if err := checkDisplayName(p.DisplayName); err != nil {
		return err
	}
	if err := checkRange("taskSlotsPerNode", p.Slots, 1, maxSlots); err != nil {
		return err
	}
	if p.Fill != "spread" && p.Fill != "pack" {
		return BadProperty("taskSchedulingPolicy.nodeFillType", p.Fill, "it must be spread or pack")
	}
	switch p.Communication {
	case "", "default", "classic", "simplified":
	default:
		return BadProperty("targetNodeCommunicationMode", p.Communication, "it must be default, classic or simplified")
	}
	if err := p.StartTask.check(); err != nil {
		return err
	}
	if err := checkMetadata(p.Metadata); err != nil {
		return err
	}
	users := map[string]bool{}
	for i, u := range p.Users {
		at := fmt.Sprintf("userAccounts[%d]", i)
		if u.Name == "" {
			return NoProperty(at + ".name")
		}
		if users[u.Name] {
			return BadProperty(at+".name", u.Name, "another user account has this name")
		}
		users[u.Name] = true
		if u.Password == "" {
			return NoProperty(at + ".password")
		}
		if err := checkElevation(at+".elevationLevel", u.Elevation); err != nil {
			return err
		}
		if (u.UID == nil) != (u.GID == nil) {
			return BadProperty(at+".linuxUserConfiguration", u.Name, "uid and gid must be given together or not at all")
		}
	}
	if p.StartTask != nil {
		if err := checkUsername("startTask.userIdentity.username", p.StartTask.User, p.Users); err != nil {
			return err
		}
	}
	for i, c := range p.Certificates {
		at := fmt.Sprintf("certificateReferences[%d]", i)
		if c.Thumbprint == "" {
			return NoProperty(at + ".thumbprint")
		}
		if c.Algorithm != "sha1" {
			return BadProperty(at+".thumbprintAlgorithm", c.Algorithm, "it must be sha1")
		}
	}
	return nil
}

func checkUsername(name string, u *UserIdentity, users []UserAccount) error {
	if u == nil || u.Username == "" {
		return nil
	}
	for _, a := range users {
		if a.Name == u.Username {
			return nil
		}
	}
	return BadProperty(name, u.Username, "the pool has no user account of this name")
}

func (m *Machine) check() error {
	if m == nil {
		return nil
	}
	const at = "virtualMachineConfiguration"
	if m.NodeAgent == "" {
		return NoProperty(at + ".nodeAgentSKUId")
	}
	i := m.Image
	if i.windows() {
		return BadProperty(at+".imageReference", i.Publisher, "the nodes of this service run Linux")
	}
	ids := 0
	for _, id := range []string{i.VirtualMachineImageID, i.SharedGalleryImageID, i.CommunityGalleryImageID} {
		if id != "" {
			ids++
		}
	}
	switch named := i.Publisher != "" || i.Offer != "" || i.SKU != ""; {
	case ids > 1 || ids == 1 && named:
		return BadProperty(at+".imageReference", i.Publisher, "an image is named in one way only")
	case ids == 1:
		return nil
	case i.Publisher == "":
		return NoProperty(at + ".imageReference.publisher")
	case i.Offer == "":
		return NoProperty(at + ".imageReference.offer")
	case i.SKU == "":
		return NoProperty(at + ".imageReference.sku")
	}
	if m.Image.Version == "" {
		m.Image.Version = "latest"
	}
	return nil
}

func checkTargets(dedicated, low int) error {
	if dedicated < 0 {
		return BadProperty("targetDedicatedNodes", fmt.Sprint(dedicated), "it must be 0 or more")
	}
	if low < 0 {
		return BadProperty("targetLowPriorityNodes", fmt.Sprint(low), "it must be 0 or more")
	}
	return nil
}
