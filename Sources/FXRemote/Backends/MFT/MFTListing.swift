internal import FXSystem
internal import Synchronization

/// What is committed, by folders: `sessions/<remote>/files`.
extension MFTService {
    public func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] {
        if directory.path.components.isEmpty {
            return [ListedEntry(name: Array("files".utf8), kind: .directory, remoteID: MFTPlace.files.text)]
        }
        switch MFTPlace(directory.remoteID) {
        case .files: return try content(of: client.ask(.get, "/root_folder").id("folder_id"))
        case .folder(let id): return try content(of: id)
        case .group, .directory: throw .notSupported
        case .file: throw .notDirectory
        case nil: throw .noSuchEntry
        }
    }

    private func content(of folder: String) throws(RemoteError) -> [ListedEntry] {
        var found: [MFTItem] = []
        var known: Set<MFTPlace> = []
        // The bound is for a server that ignores the offset.
        for page in 0..<MFTService.pageLimit {
            let start = page * MFTService.pageSize
            let answer = try client.ask(.get, "/folder_content/\(folder)/\(start)/\(MFTService.pageSize)")
            let items = try MFTItem.items(in: answer.json())
            let new = items.filter { known.insert($0.place).inserted }
            found += new
            if items.count < MFTService.pageSize || new.isEmpty { break }
        }
        return try withSizes(found)
    }

    /// One of the two shapes has no sizes: then a list of all files has them, and what is missing there is asked for.
    private func withSizes(_ items: [MFTItem]) throws(RemoteError) -> [ListedEntry] {
        let lacking = items.filter { $0.place.file != nil && $0.size == nil && size(of: $0) == nil }
        if lacking.count > MFTService.fewFiles { try learnSizes() }
        var entries: [ListedEntry] = []
        for item in items {
            guard let file = item.place.file else {
                entries.append(item.entry(.directory))
                continue
            }
            // A file whose size nobody tells would be read as an empty one; it is not shown.
            var size = item.size ?? size(of: item)
            if size == nil { size = try askSize(of: file) }
            if let size { entries.append(item.entry(.file(size))) }
        }
        return entries
    }

    private func size(of item: MFTItem) -> ByteCount? {
        guard let file = item.place.file else { return nil }
        return memory.withLock { $0.size(of: file) }
    }

    private func learnSizes() throws(RemoteError) {
        for page in 0..<MFTService.pageLimit {
            let answer = try client.ask(.get, "/files/my/\(page * MFTService.pageSize)/\(MFTService.pageSize)")
            // An account without this right: each file is asked about.
            if answer.status == 403 { return }
            let items = try MFTItem.items(in: answer.json())
            memory.withLock { memory in
                for item in items {
                    if let file = item.place.file, let size = item.size { memory.note(size, of: file) }
                }
            }
            if items.count < MFTService.pageSize { return }
        }
    }

    private func askSize(of file: String) throws(RemoteError) -> ByteCount? {
        let answer = try client.ask(.get, "/file/status/" + file)
        if answer.status == 404 || answer.status == 403 { return nil }
        let told = try answer.json()[anyCase: "size"]?.integer
        var size = told.flatMap { $0 >= 0 ? ByteCount(UInt64($0)) : nil }
        if size == nil { size = try lengthOfDownload(file) }
        guard let size else { return nil }
        memory.withLock { $0.note(size, of: file) }
        return size
    }

    /// Up to so many files are asked about one by one.
    private static let fewFiles = 8
    /// About 100 KB of JSON.
    private static let pageSize = 200
    /// A million entries of one folder.
    private static let pageLimit = 5000
}

/// One entry of a listing, in either shape: `{"files":[…],"folders":[…]}` or `{"items":[{"type":…}]}`.
struct MFTItem: Sendable, Equatable {
    var place: MFTPlace
    var name: String
    var size: ByteCount?
    var modified: Timestamp?

    static func items(in json: JSONValue) throws(RemoteError) -> [MFTItem] {
        let lists = [("folders", true), ("files", false), ("items", false)]
        guard lists.contains(where: { json[anyCase: $0.0]?.elements != nil }) else { throw .protocolViolation }
        return lists.flatMap { key, isFolder in
            (json[anyCase: key]?.elements ?? []).compactMap { MFTItem($0, isFolder: isFolder) }
        }
    }

    private init?(_ json: JSONValue, isFolder: Bool) {
        let isFolder = isFolder || json[anyCase: "type"]?.string?.lowercased() == "folder"
        let keys = isFolder ? ["folder_id", "folder_guid", "id"] : ["file_id", "id"]
        let id = keys.lazy.compactMap { MFTPlace.id(json[anyCase: $0]?.string) }.first
        guard let id else { return nil }
        place = isFolder ? .folder(id) : .file(id)
        name = (json[anyCase: "name"] ?? json[anyCase: "displayed_name"])?.string ?? ""
        size = json[anyCase: "size"]?.integer.flatMap { $0 >= 0 ? ByteCount(UInt64($0)) : nil }
        let times = ["lastModifiedDate", "creation_date", "creationDate", "date_created"]
        modified = times.lazy.compactMap { json[anyCase: $0]?.string.flatMap { OpenTeraTime($0) } }.first?.timestamp
    }

    func entry(_ kind: ListedEntry.Kind) -> ListedEntry {
        ListedEntry(name: Array(name.utf8), kind: kind, remoteID: place.text, modified: modified)
    }
}
