package oci

import "fmt"

// DefaultDevices are the nodes that every container has, as the runtime spec demands: an OCI program makes them without
// being asked, so New does not list them.
func DefaultDevices() []Device {
	return []Device{
		{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
		{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
		{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
		{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
		{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
		{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
	}
}

// anyNumber is a major or minor number that matches every device.
const anyNumber = -1

// deviceRules are runc's: nothing, then mknod of any device, the default devices, ptys and tun.
func deviceRules(c *Config) []DeviceRule {
	if c.Privileged {
		return append([]DeviceRule{{Allow: true, Type: "a", Major: anyNumber, Minor: anyNumber, Access: "rwm"}}, c.Resources.Devices...)
	}
	rules := []DeviceRule{
		{Allow: false, Type: "a", Major: anyNumber, Minor: anyNumber, Access: "rwm"},
		{Allow: true, Type: "c", Major: anyNumber, Minor: anyNumber, Access: "m"},
		{Allow: true, Type: "b", Major: anyNumber, Minor: anyNumber, Access: "m"},
	}
	for _, d := range DefaultDevices() {
		rules = append(rules, DeviceRule{Allow: true, Type: d.Type, Major: d.Major, Minor: d.Minor, Access: "rwm"})
	}
	rules = append(rules,
		DeviceRule{Allow: true, Type: "c", Major: 136, Minor: anyNumber, Access: "rwm"}, // /dev/pts/*
		DeviceRule{Allow: true, Type: "c", Major: 5, Minor: 2, Access: "rwm"},           // /dev/ptmx
		DeviceRule{Allow: true, Type: "c", Major: 10, Minor: 200, Access: "rwm"},        // /dev/net/tun
	)
	for _, d := range c.Devices {
		if d.Type == "p" {
			continue // a pipe is no device to the cgroup
		}
		access := d.Access
		if access == "" {
			access = "rwm"
		}
		rules = append(rules, DeviceRule{Allow: true, Type: cgroupType(d.Type), Major: d.Major, Minor: d.Minor, Access: access})
	}
	return append(rules, c.Resources.Devices...)
}

// cgroupType is the device cgroup's letter for a node's type: it does not tell unbuffered ones apart.
func cgroupType(t string) string {
	if t == "u" {
		return "c"
	}
	return t
}

func specRules(rules []DeviceRule) []LinuxDeviceCgroup {
	var out []LinuxDeviceCgroup
	for _, r := range rules {
		s := LinuxDeviceCgroup{Allow: r.Allow, Access: r.Access}
		if r.Type != "" && r.Type != "a" {
			s.Type = r.Type
		}
		if r.Major != anyNumber {
			s.Major = new(r.Major)
		}
		if r.Minor != anyNumber {
			s.Minor = new(r.Minor)
		}
		out = append(out, s)
	}
	return out
}

// Rules are the device rules of a container, which New puts into its spec, as plain values.
func Rules(devices []Device, privileged bool, more []DeviceRule) []DeviceRule {
	return deviceRules(&Config{Devices: devices, Privileged: privileged, Resources: Resources{Devices: more}})
}

func specDevices(devices []Device) []LinuxDevice {
	var out []LinuxDevice
	for _, d := range devices {
		mode := d.FileMode.Perm()
		if mode == 0 {
			mode = 0o666
		}
		out = append(out, LinuxDevice{
			Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor,
			FileMode: &mode, UID: new(d.UID), GID: new(d.GID),
		})
	}
	return out
}

func checkDevice(d Device) error {
	what := fmt.Sprintf("device %q", d.Path)
	if err := checkPath(what, d.Path); err != nil {
		return err
	}
	switch d.Type {
	case "c", "b", "u", "p":
	default:
		return invalid("%s: type %q is none of c, b, u and p", what, d.Type)
	}
	if d.Major < 0 || d.Minor < 0 {
		return invalid("%s: number %d:%d is negative", what, d.Major, d.Minor)
	}
	return checkAccess(what, d.Access)
}

func checkRule(r DeviceRule) error {
	const what = "device rule"
	switch r.Type {
	case "", "a", "c", "b":
	default:
		return invalid("%s: type %q is none of a, b and c", what, r.Type)
	}
	if r.Major < anyNumber || r.Minor < anyNumber {
		return invalid("%s: number %d:%d is below -1", what, r.Major, r.Minor)
	}
	return checkAccess(what, r.Access)
}

func checkAccess(what, access string) error {
	for _, letter := range access {
		if letter != 'r' && letter != 'w' && letter != 'm' {
			return invalid("%s: access %q has letters other than r, w and m", what, access)
		}
	}
	return nil
}
