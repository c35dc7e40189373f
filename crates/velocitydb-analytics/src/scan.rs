//! Rows of collections as batches of columns.
//!
//! The rows of a table are read in pieces of some thousand positions, each partition every n-th piece,
//! so that several threads share the work evenly. What the transaction has written itself is read by
//! the first partition, at last. Where an index leads to few of the documents that are asked for
//! (`indexed`), the first partition reads those alone.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field as ArrowField, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures_util::stream;
use velocitydb::{Document, Reader};
use velocitydb_query::{Filter, Find};
use velocitydb_sql::relation::UNLIMITED;
use velocitydb_types::{Path, SqlType};

use crate::form::{Builder, Form};
use crate::indexed::{of_join, of_query};
use crate::run::error_of;

/// Positions that are read at once.
const PIECE: u32 = 8 * 1024;

/// A column of a scan.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name in the statement.
    pub(crate) name: String,
    pub(crate) sql: SqlType,
    /// The field of a document that it is; `None`: the document as a whole.
    pub(crate) path: Option<Path>,
}

/// A table of a query, as the transaction sees it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) reader: Reader,
    pub(crate) columns: Arc<[Column]>,
    pub(crate) schema: SchemaRef,
}

impl Source {
    pub(crate) fn new(reader: Reader, columns: Vec<Column>) -> Source {
        let fields = columns.iter().map(|column| {
            let form = Form::of(column.sql).data_type();
            ArrowField::new(&column.name, form, true)
        });
        Source {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            columns: columns.into(),
            reader,
        }
    }

    /// How many rows there are, about.
    fn rows(&self) -> usize {
        self.reader.count().map_or(0, |count| count as usize)
    }
}

#[async_trait]
impl TableProvider for Source {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filters = filters.iter();
        let filters = filters.filter_map(|filter| of_query(filter, &self.columns));
        let all = || (0..self.columns.len()).collect();
        let wanted = projection.cloned().unwrap_or_else(all);
        let partitions = state.config().target_partitions();
        let mut scan = ScanExec::new(self.clone(), wanted, partitions)?;
        scan.filters = filters.collect();
        Ok(Arc::new(scan))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let known = filters
            .iter()
            .map(|filter| match of_query(filter, &self.columns) {
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            });
        Ok(known.collect())
    }
}

/// Reads some columns of a table.
#[derive(Debug)]
pub(crate) struct ScanExec {
    source: Source,
    /// The columns that are read.
    wanted: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    /// What the query asks of the documents, as far as an index may help with it …
    filters: Vec<Filter>,
    /// … and what joins will ask of them, once they know.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// The documents that an index leads to, if one helps: decided once for all partitions.
    found: Arc<OnceLock<Option<Vec<Document>>>>,
}

impl ScanExec {
    pub(crate) fn new(source: Source, wanted: Vec<usize>, partitions: usize) -> Result<ScanExec> {
        let schema = Arc::new(source.schema.project(&wanted)?);
        let pieces = source.reader.positions().div_ceil(PIECE).max(1);
        let partitions = partitions.min(pieces as usize);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(ScanExec {
            source,
            wanted,
            schema,
            properties: Arc::new(properties),
            filters: Vec::new(),
            dynamic: Vec::new(),
            found: Arc::default(),
        })
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.source.reader.view().definition().name;
        write!(f, "ScanExec: {name}, {} columns", self.wanted.len())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        self.replace_children(children, options)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let parts = match args.partition() {
            Some(_) => self.properties.partitioning.partition_count(),
            None => 1,
        };
        Ok(Arc::new(Statistics {
            num_rows: Precision::Inexact(self.source.rows() / parts),
            ..Statistics::new_unknown(&self.schema)
        }))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters = result.parent_filters.iter().map(|filter| &filter.filter);
        let dynamic: Vec<_> = filters.cloned().collect();
        let mut propagation: FilterPushdownPropagation<Arc<dyn ExecutionPlan>> =
            FilterPushdownPropagation::all_unsupported(result);
        if !dynamic.is_empty() {
            propagation.updated_node = Some(Arc::new(ScanExec {
                source: self.source.clone(),
                wanted: self.wanted.clone(),
                schema: Arc::clone(&self.schema),
                properties: Arc::clone(&self.properties),
                filters: self.filters.clone(),
                dynamic,
                found: Arc::default(),
            }));
        }
        Ok(propagation)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.properties.partitioning.partition_count();
        let pieces = Pieces {
            source: self.source.clone(),
            wanted: self.wanted.clone(),
            schema: Arc::clone(&self.schema),
            next: partition as u32 * PIECE,
            step: partitions as u32 * PIECE,
            own: if partition == 0 { Some(0) } else { None },
            filters: self.filters.clone(),
            dynamic: self.dynamic.clone(),
            found: Arc::clone(&self.found),
            is_first: partition == 0,
            places: vec![0; self.wanted.len()],
        };
        let batches = stream::try_unfold(pieces, |mut pieces| async move {
            let batch = pieces.read()?;
            Ok(batch.map(|batch| (batch, pieces)))
        });
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// What one partition has still to read.
struct Pieces {
    source: Source,
    wanted: Vec<usize>,
    schema: SchemaRef,
    next: u32,
    step: u32,
    /// How many of the transaction's own documents were read, if this partition reads them.
    own: Option<usize>,
    filters: Vec<Filter>,
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    found: Arc<OnceLock<Option<Vec<Document>>>>,
    is_first: bool,
    /// Where each field was in the document before.
    places: Vec<usize>,
}

impl Pieces {
    /// The rows of the next piece that has any.
    fn read(&mut self) -> Result<Option<RecordBatch>> {
        let reader = self.source.reader.clone();
        let found = Arc::clone(&self.found);
        if let Some(found) = found.get_or_init(|| self.by_index()) {
            // They are numbered as positions are; the first partition has them all.
            let from = (self.next as usize).min(found.len());
            let some = &found[from..found.len().min(from + PIECE as usize)];
            if self.is_first && !some.is_empty() {
                self.next += PIECE;
                let mut rows = self.rows(some.len());
                some.iter().for_each(|document| rows.push(document));
                return rows.finish();
            }
            self.next = u32::MAX;
        }
        while self.next < reader.positions() {
            let positions = self.next..self.next.saturating_add(PIECE);
            self.next = self.next.saturating_add(self.step);
            let mut rows = self.rows(PIECE as usize);
            let scanned = reader.scan_part(positions, |document| rows.push(document));
            scanned.map_err(|error| error_of(error.into()))?;
            if let Some(batch) = rows.finish()? {
                return Ok(Some(batch));
            }
        }
        let Some(from) = self.own else {
            return Ok(None);
        };
        let own = &reader.own()[from..];
        let own = &own[..own.len().min(PIECE as usize)];
        self.own = Some(from + own.len());
        let mut rows = self.rows(own.len());
        own.iter().for_each(|document| rows.push(document));
        rows.finish()
    }

    /// The documents that an index leads to; `None`: none helps.
    fn by_index(&self) -> Option<Vec<Document>> {
        let mut filters = self.filters.clone();
        for filter in &self.dynamic {
            let now = snapshot_physical_expr(Arc::clone(filter)).ok()?;
            of_join(&*now, &self.source.columns, &mut filters);
        }
        if filters.is_empty() {
            return None;
        }
        let find = Find::new(Filter::And(filters)).limits(UNLIMITED);
        let reader = &self.source.reader;
        // What goes wrong here goes wrong, or right, in the scan.
        reader
            .has_index_for(&find)
            .ok()?
            .then(|| reader.find(&find).ok())?
    }

    fn rows(&mut self, capacity: usize) -> Rows<'_> {
        let wanted = self.wanted.iter().map(|at| &self.source.columns[*at]);
        let columns = wanted.map(|column| {
            let builder = Builder::new(Form::of(column.sql), capacity);
            (column, builder)
        });
        Rows {
            columns: columns.collect(),
            places: &mut self.places,
            schema: &self.schema,
            count: 0,
        }
    }
}

/// A batch in the making.
struct Rows<'p> {
    columns: Vec<(&'p Column, Builder)>,
    places: &'p mut [usize],
    schema: &'p SchemaRef,
    count: usize,
}

impl Rows<'_> {
    fn push(&mut self, document: &Document) {
        let fields = document.fields();
        for ((column, builder), place) in self.columns.iter_mut().zip(&mut *self.places) {
            match &column.path {
                Some(path) if path.first() == "_id" => builder.push(&document.id().to_value()),
                Some(path) => builder.push_raw(fields.get_path_near(path, place)),
                None => builder.push(&velocitydb_sql::relation::whole(document)),
            }
        }
        self.count += 1;
    }

    /// The batch; `None`: it has no rows.
    fn finish(self) -> Result<Option<RecordBatch>> {
        if self.count == 0 {
            return Ok(None);
        }
        let columns = self.columns.into_iter();
        let columns: Vec<ArrayRef> = columns.map(|(_, builder)| builder.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.count));
        let schema = Arc::clone(self.schema);
        let batch = RecordBatch::try_new_with_options(schema, columns, &options);
        batch.map(Some).map_err(DataFusionError::from)
    }
}
