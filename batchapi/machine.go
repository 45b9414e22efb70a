package batchapi

import (
	"strings"

	"latchkey/batch"
	"latchkey/rest"
)

type image struct {
	Publisher  string `json:"publisher,omitempty"`
	Offer      string `json:"offer,omitempty"`
	SKU        string `json:"sku,omitempty"`
	Version    string `json:"version,omitempty"`
	MachineID  string `json:"virtualMachineImageId,omitempty"`
	SharedID   string `json:"sharedGalleryImageId,omitempty"`
	GalleryID  string `json:"communityGalleryImageId,omitempty"`
	ExactImage string `json:"exactVersion,omitempty"`
}

func (i image) in() batch.Image {
	return batch.Image{
		Publisher: i.Publisher, Offer: i.Offer, SKU: i.SKU, Version: i.Version,
		VirtualMachineImageID: i.MachineID, SharedGalleryImageID: i.SharedID, CommunityGalleryImageID: i.GalleryID,
	}
}

func imageOut(i batch.Image) image {
	return image{
		Publisher: i.Publisher, Offer: i.Offer, SKU: i.SKU, Version: i.Version,
		MachineID: i.VirtualMachineImageID, SharedID: i.SharedGalleryImageID, GalleryID: i.CommunityGalleryImageID,
	}
}

type machine struct {
	Image       *image     `json:"imageReference,omitempty"`
	NodeAgent   string     `json:"nodeAgentSKUId,omitempty"`
	LicenseType string     `json:"licenseType,omitempty"`
	OSDisk      *osDisk    `json:"osDisk,omitempty"`
	Placement   *placement `json:"nodePlacementConfiguration,omitempty"`
	Windows     unbuilt    `json:"windowsConfiguration,omitempty"`
	DataDisks   unbuilt    `json:"dataDisks,omitempty"`
	Containers  unbuilt    `json:"containerConfiguration,omitempty"`
	Encryption  unbuilt    `json:"diskEncryptionConfiguration,omitempty"`
	Extensions  unbuilt    `json:"extensions,omitempty"`
	Security    unbuilt    `json:"securityProfile,omitempty"`
	Artifact    unbuilt    `json:"serviceArtifactReference,omitempty"`
}

type placement struct {
	Policy string `json:"policy,omitempty"`
}

type osDisk struct {
	Caching   string         `json:"caching,omitempty"`
	SizeGB    *rest.Int      `json:"diskSizeGB,omitempty"`
	Managed   *managedDisk   `json:"managedDisk,omitempty"`
	Ephemeral *ephemeralDisk `json:"ephemeralOSDiskSettings,omitempty"`
	Writes    *bool          `json:"writeAcceleratorEnabled,omitempty"`
}

type managedDisk struct {
	StorageAccountType string  `json:"storageAccountType,omitempty"`
	Security           unbuilt `json:"securityProfile,omitempty"`
	EncryptionSet      unbuilt `json:"diskEncryptionSet,omitempty"`
}

type ephemeralDisk struct {
	Placement string `json:"placement,omitempty"`
}

func (m *machine) in() (*batch.Machine, error) {
	if m == nil {
		return nil, nil
	}
	const at = "virtualMachineConfiguration."
	err := refuse(
		refusal{at + "windowsConfiguration", m.Windows, "the nodes run Linux"},
		refusal{at + "dataDisks", m.DataDisks, "nodes share the disk of their host"},
		refusal{at + "containerConfiguration", m.Containers, "tasks run as processes"},
		refusal{at + "diskEncryptionConfiguration", m.Encryption, "nodes share the disk of their host"},
		refusal{at + "extensions", m.Extensions, "use a start task"},
		refusal{at + "securityProfile", m.Security, ""},
		refusal{at + "serviceArtifactReference", m.Artifact, ""},
	)
	if err != nil {
		return nil, err
	}
	if m.Image == nil {
		return nil, batch.NoProperty(at + "imageReference")
	}
	out := &batch.Machine{Image: m.Image.in(), NodeAgent: m.NodeAgent, LicenseType: m.LicenseType}
	if m.Placement != nil {
		out.Placement = strings.ToLower(m.Placement.Policy)
	}
	if d := m.OSDisk; d != nil {
		disk := &batch.OSDisk{Caching: d.Caching, SizeGB: number(d.SizeGB, 0), WriteAccelerator: d.Writes}
		if d.Managed != nil {
			if err := refuse(
				refusal{at + "osDisk.managedDisk.securityProfile", d.Managed.Security, ""},
				refusal{at + "osDisk.managedDisk.diskEncryptionSet", d.Managed.EncryptionSet, ""},
			); err != nil {
				return nil, err
			}
			disk.StorageAccountType = d.Managed.StorageAccountType
		}
		if d.Ephemeral != nil {
			disk.Ephemeral = d.Ephemeral.Placement
		}
		out.OSDisk = disk
	}
	return out, nil
}

func machineOut(m *batch.Machine) *machine {
	if m == nil {
		return nil
	}
	i := imageOut(m.Image)
	out := &machine{Image: &i, NodeAgent: m.NodeAgent, LicenseType: m.LicenseType}
	if m.Placement != "" {
		out.Placement = &placement{m.Placement}
	}
	if d := m.OSDisk; d != nil {
		out.OSDisk = &osDisk{Caching: d.Caching, Writes: d.WriteAccelerator}
		if d.SizeGB != 0 {
			n := rest.Int(d.SizeGB)
			out.OSDisk.SizeGB = &n
		}
		if d.StorageAccountType != "" {
			out.OSDisk.Managed = &managedDisk{StorageAccountType: d.StorageAccountType}
		}
		if d.Ephemeral != "" {
			out.OSDisk.Ephemeral = &ephemeralDisk{d.Ephemeral}
		}
	}
	return out
}
