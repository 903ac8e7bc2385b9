public import FXSystem

/// What a service can do and where its limits are; callers branch on these and never on the type of a backend.
public struct BackendFacts: Sendable, Equatable {
    /// Calls may wait for a network, so nothing that answers the kernel makes them.
    public var isRemote = false
    /// `list` tells what is there; else the journal is all that is known.
    public var listsEntries = false
    /// Listings have sessions and what is in them; else those are known from the journal alone, and `list` is asked about
    /// directories above and beside sessions only.
    public var listsSessions = true
    /// How many directories are above a session: 0 when sessions are directly in the remote.
    public var sessionDepth = 0
    /// `mkdir` can open sessions.
    public var makesSessions = true
    /// `mkdir` can make the directories above sessions.
    public var makesDirectoriesAboveSessions = false
    /// There are directories in sessions; false when a session is one flat list of files.
    public var makesDirectories = true
    /// Committed files can be removed, and the configuration allows it.
    public var deletesCommitted = false
    /// A group of files becomes final by one call.
    public var completesGroups = false
    /// Completing a session can say how long its files are to be kept.
    public var limitsSessionLife = false
    /// Files of a complete session go through states of the service's own before they can be had: `processing(of:)`.
    public var processesFiles = false
    /// Committed files can be read while their session is open.
    public var readsOpenSessions = true
    /// The size must be known before the first byte is sent.
    public var needsSizeFirst = true
    /// The size of one chunk, in bytes; `preferredChunk` lies in it.
    public var chunkSizes: ClosedRange<UInt64> = 1...(64 << 20)
    public var preferredChunk = ByteCount.mebibytes(8)
    /// After so many chunks the following ones are twice as large, and so on, so that a service with a limit on their
    /// number takes a file of any size, also one that still grows. nil: all have `preferredChunk`. See `chunk(at:)`.
    public var chunksBeforeDoubling: UInt64?
    /// How many chunks of one file may be under way at once; 1 means in order.
    public var parallelChunks = 1
    /// Every chunk goes with its MD5: those of a large file are made while it is written. All chunks have `preferredChunk`.
    public var checksumsChunks = false
    /// Chunks can be sent while the file is still written.
    public var uploadsWhileWriting = false
    /// What was committed can be read again. When false, the spool keeps the bytes of every committed file until
    /// `CommittedFile.expires`, and reads are served from there; `open` is never called.
    public var readsBack = true
    /// How long the spool keeps what the service neither gives back nor drops; nil for as long as there is a spool.
    public var keepsUnreadable: Duration?
    public var readsRanges = true
    public var renamesCommitted = false
    /// The service can take the spool file itself, without a copy.
    public var adoptsLocalFiles = false
    public var keepsModificationTimes = false
    /// nil when the service names no limit.
    public var maximumFileSize: ByteCount?
    public var names = NameRules()

    public init() {}

    /// The chunk of a file that holds the byte at `offset`, and how many are before it. The same for every file of a
    /// service, so that a chunk can be sent before the size is known; the last chunk of a file ends with the file.
    public func chunk(at offset: UInt64) -> (number: UInt64, range: Range<UInt64>) {
        var size = max(1, preferredChunk.rawValue)
        var start: UInt64 = 0
        var number: UInt64 = 0
        if let step = chunksBeforeDoubling, step > 0 {
            while true {
                let (length, overflow) = size.multipliedReportingOverflow(by: step)
                if overflow || offset - start < length || size >= chunkSizes.upperBound { break }
                start += length
                number += step
                size = min(size * 2, chunkSizes.upperBound)
            }
        }
        let index = (offset - start) / size
        let lower = start + index * size
        return (number + index, lower..<lower + min(size, UInt64.max - lower))
    }

    /// Which names a service carries.
    public struct NameRules: Sendable, Equatable {
        /// In bytes.
        public var maximumLength = Name.maximumLength
        public var mustBeUTF8 = false
        /// Bytes no name may have.
        public var excludedBytes: [UInt8] = []
        /// Spaces at the ends of a name arrive.
        public var keepsOuterSpaces = true
        /// Not usable for a session.
        public var reservedForSessions: [Name] = []
        /// Not usable for an entry directly in a session.
        public var reservedInSessions: [Name] = []
        /// Of a file, in UTF-16 units, as services count that were written for Windows.
        public var longestFileName: Int?
        /// What file names may not end in, after the last dot and in lower case; empty for no ending.
        public var deniedEndings: Set<String> = []

        public init() {}

        /// - Parameter depth: 0 for a session, 1 for an entry directly in it.
        /// - Throws: `.unrepresentableName`, `.reservedName`.
        public func check(_ name: Name, depth: Int) throws(RemoteError) {
            if name.count > maximumLength { throw .unrepresentableName }
            if mustBeUTF8, !String(decoding: name.bytes, as: UTF8.self).utf8.elementsEqual(name.bytes) {
                throw .unrepresentableName
            }
            if !excludedBytes.isEmpty, name.bytes.contains(where: excludedBytes.contains) { throw .unrepresentableName }
            if !keepsOuterSpaces, name.bytes.first == UInt8(ascii: " ") || name.bytes.last == UInt8(ascii: " ") {
                throw .unrepresentableName
            }
            if depth == 0, reservedForSessions.contains(name) { throw .reservedName }
            if depth == 1, reservedInSessions.contains(name) { throw .reservedName }
        }

        /// What is asked of the final name of a file; one that looks temporary is never sent.
        func checkFile(_ name: Name) throws(RemoteError) {
            if longestFileName == nil, deniedEndings.isEmpty { return }
            let text = String(decoding: name.bytes, as: UTF8.self)
            if let longest = longestFileName, text.utf16.count > longest { throw .nameTooLong(limit: longest) }
            let ending = NameRules.ending(of: text)
            if deniedEndings.contains(ending) { throw .deniedEnding(ending) }
        }

        /// As Windows reads a name: dots and spaces at its end are none.
        private static func ending(of name: String) -> String {
            if name.hasSuffix(".") || name.hasSuffix(" ") { return "" }
            guard let dot = name.lastIndex(of: ".") else { return "" }
            return name[name.index(after: dot)...].lowercased()
        }
    }
}
