internal import FXSystem
internal import Synchronization

/// What the service makes of committed files: it scans them, and may withhold them.
extension MFTService {
    /// `GET /file/status/{id}` in either vintage of its body.
    public func processing(of file: StoredFile) throws(RemoteError) -> FileProcessing {
        guard let id = MFTPlace(file.remoteID)?.file else { throw .noSuchEntry }
        let answer = try client.ask(.get, "/file/status/" + id)
        if answer.status == 404 { return FileProcessing(.gone, "Deleted") }
        return try MFTService.processing(in: try answer.json())
    }

    /// The service tells both in its answer to the completion, on a host and port of its own choosing.
    public func links(to file: StoredFile) -> FileLinks? {
        guard let id = MFTPlace(file.remoteID)?.file else { return nil }
        return FileLinks(url: "\(configuration.url)/file/\(id)", status: "\(configuration.url)/file/status/\(id)")
    }

    static func processing(in status: JSONValue) throws(RemoteError) -> FileProcessing {
        guard let word = status[anyCase: "availability_state"]?.string, MFTService.isWord(word) else {
            throw .protocolViolation
        }
        var processing = FileProcessing(stage(word), word)
        let scan = status[anyCase: "scan_result"]
        if let reason = scan?[anyCase: "blocked_reason"]?.string ?? status[anyCase: "message"]?.string {
            processing.reason = String(displayed(Array(reason.utf8)).prefix(100))
        }
        processing.isChanged = status[anyCase: "is_sanitized"]?.boolean ?? false
        // The older body has none.
        if let size = status[anyCase: "size"]?.integer, size >= 0 { processing.size = ByteCount(UInt64(size)) }
        return processing
    }

    private static func stage(_ word: String) -> FileProcessing.Stage {
        switch word {
        case "Available": .available
        case "Expired", "Deleted": .gone
        case "ProcessingFailed": .failed
        case _ where word.hasPrefix("Blocked"): .withheld
        // Also what later versions invent: nothing is known to be wrong.
        default: .pending
        }
    }

    /// A word of the service is shown in attributes.
    private static func isWord(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }
}
