import FXSystem

/// Everything the service knows. One request at a time changes it.
struct MFTState: Sendable {
    var settings = MFTSettings()
    var users: [MFTUser] = [
        MFTUser(id: 7, username: "user1", password: "user1-secret", pin: "314159"),
        MFTUser(id: 8, username: "user2", password: "user2-secret"),
        MFTUser(id: 1, username: "admin", password: "admin-secret"),
    ]
    var tokens: [String: MFTToken] = [:]
    var groups: [String: MFTGroup] = [:]
    var files: [String: MFTFile] = [:]
    /// Ids of committed files in the order they came.
    var committed: [String] = []
    /// Ids of files that were taken out of an open group.
    var deletedFiles: Set<String> = []
    /// Committed files that are deleted and not purged yet.
    var marked: [String] = []
    var folders: [String: MFTFolder] = [:]
    var faults: [Fault] = []
    var log: [LoggedRequest] = []
    var counters: [String: Int] = [:]
    /// Of this service and of the other port that its URLs name.
    var port = 0
    var otherPort = 0

    /// Older requests are forgotten: more than any test makes.
    static let longestLog = 200_000
    static let base = "/vault_rest"

    var now: Int64 { Moment.now() }

    mutating func count(_ what: String, _ amount: Int = 1) { counters[what, default: 0] += amount }

    func user(_ id: Int) -> MFTUser? { users.first { $0.id == id } }

    /// A version 4 UUID without dashes.
    static func newID() -> String {
        var digits = hex(UInt64.random(in: 0...(.max))) + hex(UInt64.random(in: 0...(.max)))
        digits.replaceSubrange(
            digits.index(digits.startIndex, offsetBy: 12)...digits.index(digits.startIndex, offsetBy: 12), with: "4")
        digits.replaceSubrange(
            digits.index(digits.startIndex, offsetBy: 16)...digits.index(digits.startIndex, offsetBy: 16), with: "9")
        return digits
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// 32 lower-case digits of either spelling; nil for anything but a version 4 UUID (RFC 4122 section 4.4).
    static func id(_ text: String) -> String? {
        let digits = text.filter { $0 != "-" }.lowercased()
        let list = Array(digits)
        guard list.count == 32, list.allSatisfy(\.isHexDigit), list[12] == "4", "89ab".contains(list[16]) else {
            return nil
        }
        return digits
    }

    // MARK: - Folders

    /// The root of a user, made when it is asked for.
    mutating func root(of user: Int) -> String {
        if let known = folders.values.first(where: { $0.user == user && $0.parent == nil }) { return known.id }
        let folder = MFTFolder(id: MFTState.newID(), user: user, parent: nil, name: "", created: now)
        folders[folder.id] = folder
        return folder.id
    }

    /// A folder by its path with `\`, made where it is missing.
    mutating func folder(at path: String, of user: Int) -> String {
        var current = root(of: user)
        for name in path.split(separator: "\\").map(String.init) {
            if let known = folders.values.first(where: { $0.parent == current && $0.name == name }) {
                current = known.id
            } else {
                let folder = MFTFolder(id: MFTState.newID(), user: user, parent: current, name: name, created: now)
                folders[folder.id] = folder
                current = folder.id
            }
        }
        return current
    }

    func path(of folder: String) -> String {
        var names: [String] = []
        var current = folders[folder]
        while let here = current, let parent = here.parent {
            names.append(here.name)
            current = folders[parent]
        }
        return names.reversed().joined(separator: "\\")
    }

    // MARK: - Processing

    /// The availability state of a committed file now.
    func availability(_ file: MFTFile) -> String {
        guard let committed = file.committed else { return "Composing" }
        if file.deleted != nil { return "Deleted" }
        var age = (now - committed) / 1000
        for (name, length) in [
            ("Composing", settings.composingMilliseconds), ("QueuedForProcessing", settings.queuedMilliseconds),
            ("BeingProcessed", settings.processingMilliseconds),
        ] {
            if age < Int64(length) { return name }
            age -= Int64(length)
        }
        return file.outcome ?? settings.outcome
    }

    /// The bytes of a file as they are given out.
    func served(_ file: MFTFile) -> (size: Int, bytes: [UInt8]?) {
        let isSanitized = settings.sanitizes && availability(file) == "Available"
        if isSanitized {
            let bytes = Array("sanitized:".utf8) + file.content.bytes(in: 0..<min(file.size, 1 << 20))
            return (bytes.count, bytes)
        }
        return (file.size, nil)
    }

    /// What a user has, committed or not.
    func used(by user: Int) -> Int {
        files.values.filter { $0.user == user && $0.deleted == nil }.reduce(0) { $0 + $1.size }
    }

    /// Removes what was marked long enough ago.
    mutating func purge() {
        if marked.isEmpty { return }
        let limit = now - Int64(settings.purgeMilliseconds) * 1000
        let gone = Set(marked.filter { (files[$0]?.deleted ?? .min) <= limit })
        for id in gone { files[id] = nil }
        marked.removeAll { gone.contains($0) }
        committed.removeAll { gone.contains($0) }
    }

    mutating func record(_ call: Call, status: Int) {
        count("requests")
        let number = counters["requests"] ?? 0
        if log.count >= MFTState.longestLog { log.removeFirst(MFTState.longestLog / 2) }
        log.append(
            LoggedRequest(
                number: number, method: call.method, target: call.path, status: status, sent: call.body.count))
    }

    /// The fault of this request, if there is one; it is used up. A path is the whole path or a beginning that ends
    /// with `/`: `transfer` and `transfer_file` are two.
    mutating func takeFault(_ call: Call) -> Fault? {
        func fits(_ fault: Fault) -> Bool {
            guard fault.fits(call), let path = fault.path else { return fault.fits(call) }
            return path.hasSuffix("/") || call.path == path || call.path.hasPrefix(path + "/")
        }
        for index in faults.indices where fits(faults[index]) {
            if faults[index].skip > 0 {
                faults[index].skip -= 1
                continue
            }
            let fault = faults[index]
            faults[index].times -= 1
            if faults[index].times <= 0 { faults.remove(at: index) }
            return fault
        }
        return nil
    }
}
