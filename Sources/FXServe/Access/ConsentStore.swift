internal import FXMapping
public import FXSystem
internal import Glibc
internal import Synchronization
public import SystemPackage

/// The user's word that the pages of an origin may work with files here.
public struct Consent: Sendable, Hashable {
    /// Where the word came from.
    public enum Giver: String, Sendable { case command, prompt, page }

    public var origin: Origin
    public var grantedAt: Timestamp
    public var expiresAt: Timestamp
    public var giver: Giver

    public func holds(at time: Timestamp) -> Bool { time < expiresAt }

    /// As the command line and the API show it.
    public var json: JSONValue {
        [
            "origin": .string(origin.text), "application": .string(origin.application.text),
            "granted_at": .string(grantedAt.rfc3339), "expires_at": .string(expiresAt.rfc3339),
            "granted_by": .string(giver.rawValue),
        ]
    }
}

/// Why consents cannot be read or written.
public enum ConsentFailure: Error, Sendable, Equatable {
    case system(Errno)
    /// The file is not one of ours; it is left alone, and nobody has consent.
    case unreadable
    case tooMany
}

/// The consents of a user: one file in the state directory, safe with several processes. Any thread may call.
///
/// Lock order: `seen` is a leaf; files are read outside of it.
public final class ConsentStore: Sendable {
    /// As published for `durationInDays`.
    public static let defaultDays = 365
    /// A century: more is a mistake.
    public static let longestDays = 36_500
    /// A hand-made list is shorter; a runaway program's is not.
    static let capacity = 10_000

    private struct Seen: Sendable {
        var identity: FileIdentity
        var changed: Timestamp
        var size: ByteCount
        var consents: [Origin: Consent]
    }

    private let path: String
    private let clock: WallClock
    private let seen = Mutex<Seen?>(nil)

    /// - Parameter stateDirectory: absolute; it exists.
    public init(stateDirectory: String, clock: WallClock = .system) {
        path = stateDirectory
        self.clock = clock
    }

    /// By origin, expired ones included.
    public func all() throws(ConsentFailure) -> [Consent] {
        try read().values.sorted { $0.origin.text < $1.origin.text }
    }

    /// True while the user's word for this very origin holds.
    public func holds(for origin: Origin) throws(ConsentFailure) -> Bool {
        try read()[origin]?.holds(at: clock.now()) ?? false
    }

    /// Records a consent in place of an earlier one; durable when it returns.
    /// - Parameter days: 1 to `longestDays`; others are brought into that range.
    @discardableResult
    public func grant(
        _ origin: Origin, days: Int = ConsentStore.defaultDays, by giver: Consent.Giver
    ) throws(ConsentFailure) -> Consent {
        let now = clock.now()
        let span = Int64(min(max(days, 1), ConsentStore.longestDays)) * 86_400
        let consent = Consent(
            origin: origin, grantedAt: now, expiresAt: Timestamp(seconds: now.seconds + span), giver: giver)
        try change { consents in consents[origin] = consent }
        return consent
    }

    /// Takes the word back; false when there was none.
    public func revoke(_ origin: Origin) throws(ConsentFailure) -> Bool {
        var wasThere = false
        try change { consents in wasThere = consents.removeValue(forKey: origin) != nil }
        return wasThere
    }

    // MARK: The file

    private static let file = Name(constant: "consents.json")
    private static let lock = Name(constant: "consents.lock")

    /// Looks at the file's status each time and reads it only when that has changed.
    private func read() throws(ConsentFailure) -> [Origin: Consent] {
        let status: FileStatus
        do throws(Errno) {
            status = try directory().status(of: ConsentStore.file)
        } catch .noSuchFileOrDirectory { return [:] } catch { throw .system(error) }
        if let seen = seen.withLock({ $0 }), seen.identity == status.identity, seen.changed == status.changed,
            seen.size == status.size
        {
            return seen.consents
        }
        let (consents, found) = try load()
        seen.withLock {
            $0 = Seen(identity: found.identity, changed: found.changed, size: found.size, consents: consents)
        }
        return consents
    }

    private func load() throws(ConsentFailure) -> ([Origin: Consent], FileStatus) {
        let bytes: [UInt8]
        let status: FileStatus
        do throws(Errno) {
            let file = try directory().open(ConsentStore.file, .readOnly)
            status = try file.status()
            // About 200 bytes each.
            bytes = try file.read(ConsentStore.capacity * 1000, at: 0)
        } catch { throw .system(error) }
        guard let document = JSONValue(parsing: String(decoding: bytes, as: UTF8.self)),
            document["version"]?.integer == 1, let entries = document["consents"]?.elements
        else { throw .unreadable }
        var consents: [Origin: Consent] = [:]
        for entry in entries {
            guard let text = entry["origin"]?.string, let origin = Origin(text),
                let granted = entry["granted"]?.integer, let expires = entry["expires"]?.integer
            else { throw .unreadable }
            consents[origin] = Consent(
                origin: origin, grantedAt: Timestamp(seconds: granted), expiresAt: Timestamp(seconds: expires),
                giver: entry["granted_by"]?.string.flatMap(Consent.Giver.init) ?? .command)
        }
        return (consents, status)
    }

    /// Reads, changes and writes while no other process does.
    private func change(_ body: (inout [Origin: Consent]) -> Void) throws(ConsentFailure) {
        let held = try lockFile()
        defer { _ = flock(held.rawValue, LOCK_UN) }
        var consents: [Origin: Consent] = [:]
        do throws(ConsentFailure) { consents = try load().0 } catch .system(.noSuchFileOrDirectory) {}
        body(&consents)
        if consents.count > ConsentStore.capacity { throw .tooMany }
        let entries = consents.values.sorted { $0.origin.text < $1.origin.text }.map { consent -> JSONValue in
            [
                "origin": .string(consent.origin.text), "granted": .integer(consent.grantedAt.seconds),
                "expires": .integer(consent.expiresAt.seconds), "granted_by": .string(consent.giver.rawValue),
            ]
        }
        let document: JSONValue = ["version": 1, "consents": .array(entries)]
        do throws(Errno) {
            try AtomicFile.write(
                Array((document.text + "\n").utf8), to: "consents.json", in: try directory(), mode: 0o600)
        } catch { throw .system(error) }
    }

    private func lockFile() throws(ConsentFailure) -> OwnedDescriptor {
        do throws(Errno) {
            let file = try directory().open(ConsentStore.lock, [.readWrite, .create], mode: 0o600)
            while flock(file.rawValue, LOCK_EX) != 0 {
                let reason = Errno(rawValue: errno)
                if reason != .interrupted { throw reason }
            }
            return file
        } catch { throw .system(error) }
    }

    private func directory() throws(Errno) -> OwnedDescriptor {
        try OwnedDescriptor.open(absolute: path, [.pathOnly, .directory])
    }
}
