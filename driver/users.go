package driver

import (
	"context"
	"strings"
	"time"
)

// Users is what a Store implements in addition if it knows which sessions a user has. An ID that has a colon is one of
// a user. The text before the first colon names the user, by a hash; see [UserOf].
//
// The list of a user's IDs decides. Load and Peek of a user's ID look first whether the ID is in the list, and then for
// its value. They never do it the other way round. If the ID is not in the list, they return [ErrRemoved] together with
// the value that is stored, if there is one. A session that was removed is over, even if something of it is left. Save
// and Delete do not ask the list.
//
// Everything of a user changes in one order for all callers. When RemoveAll has returned, no ID that was in the list
// before is in it, whatever was called at the same time. Each method may be repeated after its reply was lost. It then
// returns the outcome of both attempts, or the failure if that is not known. The repeat does not return IDs that the
// first attempt took from the list. A list lives until Keep after the last Add or Replace, and a stamp about a day
// after it was last read or changed, so that nothing stays for ever. If a list is lost, the sessions of its user end.
type Users interface {
	// Stamp returns the stamp of user, and makes one if there is none. RemoveAll and RemoveOthers change it.
	Stamp(ctx context.Context, user string) (stamp string, err error)

	// Add makes entry.ID one of its user's, and returns the IDs that had to make room for it, the oldest first. The
	// value of the ID is stored already. If the stamp is not entry.Stamp any more, it adds nothing and returns
	// ErrStamp. If the list is full and entry.Refuse is set, it adds nothing and returns ErrFull. An ID that has no
	// value any more takes no room.
	Add(ctx context.Context, entry Entry) (over []string, err error)

	// Replace makes entry.ID one of its user's in the place of was, in one step. If neither of them is in the list, it
	// changes nothing and returns ErrRemoved. If the stamp is not entry.Stamp any more, it changes nothing and returns
	// ErrStamp. Limit and Refuse do not count.
	Replace(ctx context.Context, was string, entry Entry) error

	// Remove takes id from the list. ErrRemoved says that it is not in it.
	Remove(ctx context.Context, id string) error

	// RemoveOthers takes all IDs of its user except keep from the list, changes the stamp, and returns the IDs. If keep
	// is not in the list, it changes nothing and returns ErrRemoved.
	RemoveOthers(ctx context.Context, keep string) (removed []string, err error)

	// RemoveAll changes the stamp of user and then empties the list, and returns what was in it.
	RemoveAll(ctx context.Context, user string) (removed []string, err error)

	// Bury puts last in the place of the values of ids, for ttl. These IDs were removed before. An ID without a value
	// gets none. All of them are of one user.
	Bury(ctx context.Context, last []byte, ttl time.Duration, ids ...string) error

	// Members returns the IDs of user that have a value, in the order in which they were added, and takes the others from
	// the list. It gives nothing more time to live.
	Members(ctx context.Context, user string) ([]Member, error)
}

// An Entry is an ID that is to become one of its user's.
type Entry struct {
	ID     string
	Stamp  string        // the stamp that must still hold; "" for any
	Keep   time.Duration // how long the list lives from now on, at least
	Limit  int           // how many IDs the user can have; 0 is any number
	Refuse bool          // whether a full list means ErrFull, and nothing makes room
}

// A Member is one ID of a user and its value.
type Member struct {
	ID    string
	Value []byte
	TTL   time.Duration // how long the value has to live
}

// UserOf returns which user an ID belongs to. It is "" if the ID belongs to none.
func UserOf(id string) string {
	user, _, ok := strings.Cut(id, ":")
	if !ok {
		return ""
	}
	return user
}
