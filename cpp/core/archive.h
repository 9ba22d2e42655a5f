// SPDX-License-Identifier: GPL-2.0-or-later
//
// A model file as an archive: a zip whose records are stored as they are, not compressed. Nothing
// of a record is looked at here but its bytes, and memory does not depend on what a file claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace egraff {

class Archive {
  public:
    struct Record {
        std::string name;
        uint64_t header; // where its local header begins
        uint64_t size;   // bytes
        bool compressed;
    };

    // Opens the file and lists its records. Throws egraff::Error if it is not a regular file that
    // can be read, not a zip archive, or not complete: whatever the list says lies in the file.
    explicit Archive(std::string path);
    ~Archive();
    Archive(const Archive &) = delete;
    Archive &operator=(const Archive &) = delete;

    const std::string &path() const { return path_; }
    uint64_t size() const { return size_; }

    // Records in the order of their names.
    const std::vector<Record> &records() const { return records_; }

    // The record of that name in the archive's own folder, whatever that is called, or null.
    const Record *find(const std::string &name) const;

    // Throws egraff::Error if the record has more than `most` bytes, or is compressed.
    std::string content(const Record &record, uint64_t most) const;

    // SHA-256 of the list of the records' SHA-256, one line each as sha256sum writes it, in the
    // order of the names, without the record `left_out`. It does not depend on anything but names
    // and contents. Throws egraff::Error if a record is compressed.
    std::string digest(const Record *left_out) const;

    // Bytes of the file. Throws egraff::Error if it has fewer.
    void read(uint64_t position, void *bytes, size_t n) const;

  private:
    void list_records();
    std::string bytes(uint64_t position, uint64_t n) const;
    uint64_t start_of(const Record &record) const;
    [[noreturn]] void damaged(const std::string &how) const;

    std::string path_;
    int file_ = -1;
    uint64_t size_ = 0;
    std::vector<Record> records_;
};

} // namespace egraff
