package network

import (
	"log/slog"
	"net/netip"
	"os"
)

// Config says whose network this is and where it lives.
type Config struct {
	Instance string       // eight hex digits: names every link, table and alias
	IPv4     netip.Prefix // pool; the zero value takes 10.88.0.0/16, or the next one that no route of the host overlaps
	IPv6     netip.Prefix // pool; the zero value takes a ULA /64 that follows from the instance
	StateDir string       // leases; survives hulld, and need not survive the machine
	MTU      int          // of both ends of each veth; 0 takes that of the interface to the default route
	Log      *slog.Logger
	// Bury, which may be nil, removes what a Hull has left that is no network. That Hull lives no more.
	Bury func(instance string) error `json:"-"`
}

// Request is one sandbox's wish.
type Request struct {
	ID    string   // of the sandbox: 32 hex digits
	Name  string   // for people, "default/web": named as the holder of a port that somebody else wants
	Netns *os.File // the sandbox's network namespace; stays the caller's
	Ports []Port   // host ports
}

// Port is one hostPort of a container.
type Port struct {
	HostIP        netip.Addr `json:"hostIP,omitzero"` // zero: every address of the host; 0.0.0.0, ::: every one of that family
	HostPort      uint16     `json:"hostPort"`
	ContainerPort uint16     `json:"containerPort"`
	Protocol      string     `json:"protocol"` // TCP, UDP or SCTP; "" is TCP
}

// Result is what a sandbox got.
type Result struct {
	IPs           []netip.Addr // IPv4 first; the first is the Pod's IP
	Interface     string       // inside: eth0
	HostInterface string
	MAC           string // of Interface
}
