package driver

import (
	"context"
	"strings"
	"time"
)

// Users is what a [Store] implements besides that knows which sessions a user has. An ID that has a colon is one of a
// user: what stands before the first colon names the user, by a hash; see [UserOf].
//
// The list of a user's IDs decides. Load and Peek of a user's ID look first whether it is in the list and then for its
// value, never the other way round. If it is not in the list, they return ErrRemoved together with the value that is
// stored, if there is one: a session that was removed is no more, whatever is left of it. Save and Delete do not ask the
// list.
//
// Everything of a user changes in one order for all callers: if RemoveAll has returned, no ID that was in the list before
// is in it, whatever was called at the same time. Each method may be repeated after its reply was lost, and then
// returns what it has come to, or the failure where that is not known; IDs that the first attempt took from the list are
// not among those that the repeat returns. A list lives until Keep after the last Add or Replace, and a stamp about a day
// after it was last read or changed, so that nothing stays for ever. A list that is lost ends the sessions of its user.
type Users interface {
	// Stamp returns the stamp of user, and makes one if there is none. It changes with RemoveAll and RemoveOthers.
	Stamp(ctx context.Context, user string) (stamp string, err error)

	// Add makes entry.ID one of its user's, and returns the IDs that had to make room for it, the oldest first. The value
	// of the ID is stored already. It adds nothing and returns ErrStamp if the stamp is not entry.Stamp any more, and
	// ErrFull if the list is full and entry.Refuse is set. An ID that has no value any more takes no room.
	Add(ctx context.Context, entry Entry) (over []string, err error)

	// Replace makes entry.ID one of its user's in the place of was, in one step. It changes nothing and returns
	// ErrRemoved if neither of them is in the list, and ErrStamp as Add does. Limit and Refuse do not count.
	Replace(ctx context.Context, was string, entry Entry) error

	// Remove takes id from the list. ErrRemoved says that it is not in it.
	Remove(ctx context.Context, id string) error

	// RemoveOthers takes all IDs of its user but keep from the list, changes the stamp and returns them. If keep is not in
	// the list, it changes nothing and returns ErrRemoved.
	RemoveOthers(ctx context.Context, keep string) (removed []string, err error)

	// RemoveAll changes the stamp of user and then empties the list, and returns what was in it.
	RemoveAll(ctx context.Context, user string) (removed []string, err error)

	// Bury puts last in the place of the values of ids that were removed, for ttl. An ID without a value gets none. All of
	// them are of one user.
	Bury(ctx context.Context, last []byte, ttl time.Duration, ids ...string) error

	// Members returns the IDs of user that have a value, in the order in which they were added, and takes the others from
	// the list. It gives nothing more time to live.
	Members(ctx context.Context, user string) ([]Member, error)
}

// An Entry is an ID that is to become one of its user's.
type Entry struct {
	ID     string
	Stamp  string        // that must still hold; "" for any
	Keep   time.Duration // how long the list lives from now on, at least
	Limit  int           // how many IDs the user can have; 0 is any number
	Refuse bool          // ErrFull in place of making room
}

// A Member is one ID of a user and its value.
type Member struct {
	ID    string
	Value []byte
	TTL   time.Duration // how long the value has to live
}

// UserOf returns which user an ID belongs to, "" if none.
func UserOf(id string) string {
	user, _, ok := strings.Cut(id, ":")
	if !ok {
		return ""
	}
	return user
}
