// Package names writes the files by which a Pod knows names: resolv.conf and hosts, by the kubelet's
// rules. Its functions are pure, but for the one that reads the host's resolv.conf.
package names

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// DNS is all that a Pod's resolv.conf is made of.
type DNS struct {
	Policy      string // ClusterFirst, ClusterFirstWithHostNet, Default or None; "" is ClusterFirst
	HostNetwork bool
	Host        HostDNS // what the host itself uses: ReadHostDNS

	ClusterServers []netip.Addr // none: ClusterFirst falls back to Default, with the warning MissingClusterDNS
	ClusterDomain  string
	Namespace      string
	Pod            string // for the warning: "web_default(uid)"

	Servers  []string // dnsConfig
	Searches []string
	Options  []DNSOption
}

// DNSOption is one option of dnsConfig; a nil Value is an option without one.
type DNSOption struct {
	Name  string
	Value *string
}

// HostDNS is a parsed resolv.conf.
type HostDNS struct {
	Servers, Searches, Options []string
}

// Warning is what the kubelet says as an event.
type Warning struct {
	Reason, Message string
}

// Reasons of warnings.
const (
	MissingClusterDNS = "MissingClusterDNS"
	DNSConfigForming  = "DNSConfigForming"
)

// The limits of the kubelet and of its validation: glibc of before 2.26 took fewer and shorter ones, and one of 2.28
// aborts on a search path longer than a domain name can be.
const (
	maxNameservers = 3
	maxSearches    = 32
	maxSearchChars = 2048
	maxSearchChar  = 253
	maxResolvConf  = 10 << 20
)

// ResolvConf is a Pod's resolv.conf by the kubelet's rules, in the form that containerd writes. Options keep their order,
// where the kubelet's is random.
//
// A nameserver of the host's on its loopback (a dnsmasq, say) is written as it is, although a Pod with a network of its
// own cannot reach it: the kubelet does so too, and Check says it. The stub of systemd-resolved is the one case that
// ReadHostDNS sees through.
func ResolvConf(d DNS) ([]byte, []Warning) {
	conf, warnings := d.base()
	if len(d.Servers)+len(d.Searches)+len(d.Options) > 0 {
		conf.Servers = unique(append(conf.Servers, d.Servers...))
		conf.Searches = unique(append(conf.Searches, d.Searches...))
		conf.Options = mergeOptions(conf.Options, d.Options)
	}
	if len(conf.Servers) > maxNameservers {
		conf.Servers = conf.Servers[:maxNameservers]
		warnings = append(warnings, Warning{DNSConfigForming, "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: " +
			strings.Join(conf.Servers, " ")})
	}
	var cut bool
	if conf.Searches, cut = fitSearches(conf.Searches); cut {
		warnings = append(warnings, Warning{DNSConfigForming, "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: " +
			strings.Join(conf.Searches, " ")})
	}
	return conf.bytes(), warnings
}

// base is what the policy alone gives.
func (d DNS) base() (HostDNS, []Warning) {
	host := HostDNS{slices.Clone(d.Host.Servers), slices.Clone(d.Host.Searches), slices.Clone(d.Host.Options)}
	switch d.Policy {
	case "None":
		return HostDNS{}, nil
	case "Default":
		return host, nil
	case "", "ClusterFirst":
		if d.HostNetwork {
			return host, nil
		}
	}
	if len(d.ClusterServers) == 0 {
		return host, []Warning{{MissingClusterDNS, fmt.Sprintf("pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.",
			d.Pod, "ClusterFirst", "Default")}}
	}
	conf := HostDNS{Searches: host.Searches, Options: []string{"ndots:5"}}
	for _, ip := range d.ClusterServers {
		conf.Servers = append(conf.Servers, ip.String())
	}
	if d.ClusterDomain != "" {
		svc := "svc." + d.ClusterDomain
		conf.Searches = unique(append([]string{d.Namespace + "." + svc, svc, d.ClusterDomain}, host.Searches...))
	}
	return conf, nil
}

// fitSearches drops what is too much: of the number, the paths that are too long, and the rest from the end.
func fitSearches(s []string) (fit []string, cut bool) {
	if len(s) > maxSearches {
		s, cut = s[:maxSearches], true
	}
	chars := 0
	for _, path := range s {
		if len(path) > maxSearchChar {
			cut = true
			continue
		}
		if chars += len(path); chars > maxSearchChars {
			return fit, true
		}
		fit = append(fit, path)
		chars++ // the space to the next
	}
	return fit, cut
}

func (c HostDNS) bytes() []byte {
	var b bytes.Buffer
	if len(c.Searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(c.Searches, " "))
	}
	for _, s := range c.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(c.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(c.Options, " "))
	}
	return b.Bytes()
}

// mergeOptions lets the Pod's options replace those of the same name.
func mergeOptions(have []string, want []DNSOption) []string {
	for _, o := range want {
		text := o.Name
		if o.Value != nil && *o.Value != "" {
			text += ":" + *o.Value
		}
		have = replaceOption(have, text)
	}
	return have
}

func replaceOption(have []string, text string) []string {
	name, _, _ := strings.Cut(text, ":")
	for i, h := range have {
		if old, _, _ := strings.Cut(h, ":"); old == name {
			have[i] = text
			return have
		}
	}
	return append(have, text)
}

func unique(s []string) []string {
	var out []string
	for _, v := range s {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// ParseResolvConf reads a resolv.conf: nameservers add up, the last search line counts, and the last of each option.
func ParseResolvConf(b []byte) (HostDNS, error) {
	var c HostDNS
	if len(b) > maxResolvConf {
		return c, fmt.Errorf("resolv.conf of more than %d bytes", maxResolvConf)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch f[0] {
		case "nameserver":
			if len(f) < 2 {
				return HostDNS{}, errors.New("a nameserver line without an address")
			}
			c.Servers = append(c.Servers, f[1])
		case "search":
			c.Searches = nil
			for _, s := range f[1:] {
				if s != "." {
					c.Searches = append(c.Searches, strings.TrimSuffix(s, "."))
				}
			}
		case "options":
			for _, o := range f[1:] {
				c.Options = replaceOption(c.Options, o)
			}
		}
	}
	return c, nil
}

// Where hosts keep their own.
const (
	EtcResolvConf      = "/etc/resolv.conf"
	resolvedResolvConf = "/run/systemd/resolve/resolv.conf"
)

// ReadHostDNS reads the host's resolv.conf. Where that names the stub of systemd-resolved, which listens on the host's
// loopback alone, the file with the real servers is taken, as kubeadm tells the kubelet to.
func ReadHostDNS() (HostDNS, error) { return readHostDNS(EtcResolvConf, resolvedResolvConf) }

func readHostDNS(etc, resolved string) (HostDNS, error) {
	c, err := readResolvConf(etc)
	if err != nil {
		return c, err
	}
	stub := func(s string) bool { return s == "127.0.0.53" || s == "127.0.0.54" }
	if !slices.ContainsFunc(c.Servers, stub) {
		return c, nil
	}
	behind, err := readResolvConf(resolved)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	return behind, err
}

func readResolvConf(path string) (HostDNS, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return HostDNS{}, fmt.Errorf("read the host's DNS settings: %w", err)
	}
	c, err := ParseResolvConf(b)
	if err != nil {
		return HostDNS{}, fmt.Errorf("read the host's DNS settings from %s: %w", path, err)
	}
	return c, nil
}
