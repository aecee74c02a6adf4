package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// accountsLimit bounds /etc/passwd and /etc/group of an image: they are read into memory.
const accountsLimit = 4 << 20

// User is whom a configuration names.
type User struct {
	Spec               string // "user[:group]" by name or number, the container's or else the image's
	RunAsUser          *int64
	RunAsGroup         *int64
	SupplementalGroups []int64
}

// Identity is who a container's process runs as. It is recorded, so that its spec can be made again without its root file
// system.
type Identity struct {
	UID, GID uint32
	Groups   []uint32
	Home     string
}

// Find looks a container's user up as CRI runtimes do: RunAsUser wins over the image's user; a group that nobody names is
// the user's own in /etc/passwd, else 0; the image's /etc/group adds to the supplemental groups. Both files are read
// inside rootfs, so that an image's symlink cannot lead to the host's.
func (u User) Find(rootfs *os.File) (Identity, error) {
	passwd, err := readInside(rootfs, "etc/passwd")
	if err != nil {
		return Identity{}, err
	}
	group, err := readInside(rootfs, "etc/group")
	if err != nil {
		return Identity{}, err
	}
	spec := u.Spec
	if u.RunAsUser != nil {
		spec = strconv.FormatInt(*u.RunAsUser, 10)
	}
	if u.RunAsGroup != nil {
		name, _, _ := strings.Cut(spec, ":")
		spec = name + ":" + strconv.FormatInt(*u.RunAsGroup, 10)
	}
	defaults := &user.ExecUser{Home: "/"}
	found, err := user.GetExecUser(spec, defaults, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return Identity{}, fmt.Errorf("find user %q in the image: %w", spec, err)
	}
	// A number beyond these wraps around in the kernel's type, and -1 there means whoever one is already: root.
	outOfRange := fmt.Errorf("find user %q in the image: %w", spec, user.ErrRange)
	if !inRange(found.Uid) || !inRange(found.Gid) {
		return Identity{}, outOfRange
	}
	groups := found.Sgids
	if u.RunAsGroup != nil {
		// With a group given, GetExecUser leaves out the user's memberships; they count all the same
		// (supplementalGroupsPolicy: Merge).
		name, _, _ := strings.Cut(spec, ":")
		if merged, err := user.GetExecUser(name, defaults, bytes.NewReader(passwd), bytes.NewReader(group)); err == nil {
			groups = merged.Sgids
		}
	}
	if slices.ContainsFunc(groups, func(g int) bool { return !inRange(g) }) {
		return Identity{}, outOfRange
	}
	id := Identity{UID: uint32(found.Uid), GID: uint32(found.Gid), Home: found.Home}
	// runc and containerd put the primary group among the others, first, so that dropping it by setgid keeps it.
	seen := map[uint32]bool{id.GID: true}
	id.Groups = []uint32{id.GID}
	add := func(g uint32) {
		if !seen[g] {
			seen[g] = true
			id.Groups = append(id.Groups, g)
		}
	}
	for _, g := range groups {
		add(uint32(g))
	}
	for _, g := range u.SupplementalGroups {
		add(uint32(g))
	}
	return id, nil
}

func inRange(id int) bool { return id >= 0 && id <= math.MaxInt32 }

// readInside reads a file of an image with every symlink resolved inside of it; nil when there is none. What it is is looked
// at before it is opened: to open a device node alone can be an act, such as to start the machine's watchdog.
func readInside(rootfs *os.File, path string) ([]byte, error) {
	at, err := linux.OpenIn(rootfs, path, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find /%s of the image: %w", path, err)
	}
	defer func() { _ = at.Close() }()
	info, err := at.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at /%s of the image: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > accountsLimit {
		return nil, fmt.Errorf("/%s of the image is not a file of at most %d bytes", path, accountsLimit)
	}
	f, err := linux.OpenIn(rootfs, path, unix.O_RDONLY|unix.O_NONBLOCK) // nobody changes an image's file in between
	if err != nil {
		return nil, fmt.Errorf("open /%s of the image: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, accountsLimit))
	if err != nil {
		return nil, fmt.Errorf("read /%s of the image: %w", path, err)
	}
	return data, nil
}
