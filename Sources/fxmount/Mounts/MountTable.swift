internal import FXSystem
internal import Foundation

/// One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
struct MountEntry: Sendable, Equatable {
    var id: Int
    /// `major:minor`; minor is the number of the FUSE connection.
    var device: String
    /// The bytes of the mount point, decoded.
    var mountpoint: [UInt8]
    var type: String
    var source: String
    var options: [String]

    var path: String { String(decoding: mountpoint, as: UTF8.self) }
    var connection: Int? { device.split(separator: ":").last.flatMap { Int($0) } }

    /// nil for a line that is not one.
    init?(parsing line: some StringProtocol) {
        let halves = line.components(separatedBy: " - ")
        guard halves.count >= 2 else { return nil }
        let left = halves[0].split(separator: " ")
        let right = halves[1...].joined(separator: " - ").split(separator: " ")
        guard left.count >= 6, right.count >= 2, let id = Int(left[0]) else { return nil }
        self.id = id
        device = String(left[2])
        mountpoint = MountEntry.decode(left[4])
        options = left[5].split(separator: ",").map(String.init)
        type = String(right[0])
        source = String(decoding: MountEntry.decode(right[1]), as: UTF8.self)
    }

    /// Space, tab, newline and backslash appear as `\040` and so on.
    static func decode(_ text: some StringProtocol) -> [UInt8] {
        var out: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                out.append(value)
                rest = rest.dropFirst(3)
            } else {
                out.append(byte)
            }
        }
        return out
    }
}

/// The mounts of this process's namespace, in the order of the kernel: a later one covers an earlier one.
struct MountTable: Sendable {
    var entries: [MountEntry]

    init(text: String) {
        entries = text.split(separator: "\n").compactMap { MountEntry(parsing: $0) }
    }

    /// Reads the kernel's table; empty when /proc is not mounted.
    static func current() -> MountTable {
        let data = FileManager.default.contents(atPath: "/proc/self/mountinfo") ?? Data()
        // Bytes that are not UTF-8 would be lost here, but the kernel's escapes keep lines and columns apart.
        return MountTable(text: String(decoding: data, as: UTF8.self))
    }

    /// The mounts this program made.
    var ours: [MountEntry] { entries.filter { $0.type == "fuse.fxmount" } }

    /// The mount at exactly this absolute path; the topmost.
    func mount(at path: String) -> MountEntry? { entries.last { $0.path == path } }

    /// Our mount that holds this absolute path.
    func ourMount(holding path: String) -> MountEntry? {
        var holder: MountEntry?
        for entry in entries {
            let prefix = entry.path == "/" ? "/" : entry.path + "/"
            guard path == entry.path || path.hasPrefix(prefix) else { continue }
            // Of two at one place, the later covers the earlier.
            if entry.path.utf8.count >= holder?.path.utf8.count ?? 0 { holder = entry }
        }
        return holder?.type == "fuse.fxmount" ? holder : nil
    }
}
