// Original file: proto/windlass/v1/windlass.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CollectRequest as _windlass_v1_CollectRequest, CollectRequest__Output as _windlass_v1_CollectRequest__Output } from '../../windlass/v1/CollectRequest.ts';
import type { CollectResponse as _windlass_v1_CollectResponse, CollectResponse__Output as _windlass_v1_CollectResponse__Output } from '../../windlass/v1/CollectResponse.ts';
import type { HoldRequest as _windlass_v1_HoldRequest, HoldRequest__Output as _windlass_v1_HoldRequest__Output } from '../../windlass/v1/HoldRequest.ts';
import type { HoldResponse as _windlass_v1_HoldResponse, HoldResponse__Output as _windlass_v1_HoldResponse__Output } from '../../windlass/v1/HoldResponse.ts';
import type { InfoRequest as _windlass_v1_InfoRequest, InfoRequest__Output as _windlass_v1_InfoRequest__Output } from '../../windlass/v1/InfoRequest.ts';
import type { InfoResponse as _windlass_v1_InfoResponse, InfoResponse__Output as _windlass_v1_InfoResponse__Output } from '../../windlass/v1/InfoResponse.ts';
import type { InspectImageRequest as _windlass_v1_InspectImageRequest, InspectImageRequest__Output as _windlass_v1_InspectImageRequest__Output } from '../../windlass/v1/InspectImageRequest.ts';
import type { InspectImageResponse as _windlass_v1_InspectImageResponse, InspectImageResponse__Output as _windlass_v1_InspectImageResponse__Output } from '../../windlass/v1/InspectImageResponse.ts';
import type { ListDamagedRequest as _windlass_v1_ListDamagedRequest, ListDamagedRequest__Output as _windlass_v1_ListDamagedRequest__Output } from '../../windlass/v1/ListDamagedRequest.ts';
import type { ListDamagedResponse as _windlass_v1_ListDamagedResponse, ListDamagedResponse__Output as _windlass_v1_ListDamagedResponse__Output } from '../../windlass/v1/ListDamagedResponse.ts';
import type { ListHistoryRequest as _windlass_v1_ListHistoryRequest, ListHistoryRequest__Output as _windlass_v1_ListHistoryRequest__Output } from '../../windlass/v1/ListHistoryRequest.ts';
import type { ListHistoryResponse as _windlass_v1_ListHistoryResponse, ListHistoryResponse__Output as _windlass_v1_ListHistoryResponse__Output } from '../../windlass/v1/ListHistoryResponse.ts';
import type { ListPlatformsRequest as _windlass_v1_ListPlatformsRequest, ListPlatformsRequest__Output as _windlass_v1_ListPlatformsRequest__Output } from '../../windlass/v1/ListPlatformsRequest.ts';
import type { ListPlatformsResponse as _windlass_v1_ListPlatformsResponse, ListPlatformsResponse__Output as _windlass_v1_ListPlatformsResponse__Output } from '../../windlass/v1/ListPlatformsResponse.ts';
import type { ListPullsRequest as _windlass_v1_ListPullsRequest, ListPullsRequest__Output as _windlass_v1_ListPullsRequest__Output } from '../../windlass/v1/ListPullsRequest.ts';
import type { ListPullsResponse as _windlass_v1_ListPullsResponse, ListPullsResponse__Output as _windlass_v1_ListPullsResponse__Output } from '../../windlass/v1/ListPullsResponse.ts';
import type { ListQueueRequest as _windlass_v1_ListQueueRequest, ListQueueRequest__Output as _windlass_v1_ListQueueRequest__Output } from '../../windlass/v1/ListQueueRequest.ts';
import type { ListQueueResponse as _windlass_v1_ListQueueResponse, ListQueueResponse__Output as _windlass_v1_ListQueueResponse__Output } from '../../windlass/v1/ListQueueResponse.ts';
import type { ListStaleRequest as _windlass_v1_ListStaleRequest, ListStaleRequest__Output as _windlass_v1_ListStaleRequest__Output } from '../../windlass/v1/ListStaleRequest.ts';
import type { ListStaleResponse as _windlass_v1_ListStaleResponse, ListStaleResponse__Output as _windlass_v1_ListStaleResponse__Output } from '../../windlass/v1/ListStaleResponse.ts';
import type { LoadRequest as _windlass_v1_LoadRequest, LoadRequest__Output as _windlass_v1_LoadRequest__Output } from '../../windlass/v1/LoadRequest.ts';
import type { LoadResponse as _windlass_v1_LoadResponse, LoadResponse__Output as _windlass_v1_LoadResponse__Output } from '../../windlass/v1/LoadResponse.ts';
import type { LookUpRequest as _windlass_v1_LookUpRequest, LookUpRequest__Output as _windlass_v1_LookUpRequest__Output } from '../../windlass/v1/LookUpRequest.ts';
import type { LookUpResponse as _windlass_v1_LookUpResponse, LookUpResponse__Output as _windlass_v1_LookUpResponse__Output } from '../../windlass/v1/LookUpResponse.ts';
import type { PinRequest as _windlass_v1_PinRequest, PinRequest__Output as _windlass_v1_PinRequest__Output } from '../../windlass/v1/PinRequest.ts';
import type { PinResponse as _windlass_v1_PinResponse, PinResponse__Output as _windlass_v1_PinResponse__Output } from '../../windlass/v1/PinResponse.ts';
import type { PlanRequest as _windlass_v1_PlanRequest, PlanRequest__Output as _windlass_v1_PlanRequest__Output } from '../../windlass/v1/PlanRequest.ts';
import type { PlanResponse as _windlass_v1_PlanResponse, PlanResponse__Output as _windlass_v1_PlanResponse__Output } from '../../windlass/v1/PlanResponse.ts';
import type { PullEvent as _windlass_v1_PullEvent, PullEvent__Output as _windlass_v1_PullEvent__Output } from '../../windlass/v1/PullEvent.ts';
import type { PullRequest as _windlass_v1_PullRequest, PullRequest__Output as _windlass_v1_PullRequest__Output } from '../../windlass/v1/PullRequest.ts';
import type { RemoveImageRequest as _windlass_v1_RemoveImageRequest, RemoveImageRequest__Output as _windlass_v1_RemoveImageRequest__Output } from '../../windlass/v1/RemoveImageRequest.ts';
import type { RemoveImageResponse as _windlass_v1_RemoveImageResponse, RemoveImageResponse__Output as _windlass_v1_RemoveImageResponse__Output } from '../../windlass/v1/RemoveImageResponse.ts';
import type { SetPassthroughRequest as _windlass_v1_SetPassthroughRequest, SetPassthroughRequest__Output as _windlass_v1_SetPassthroughRequest__Output } from '../../windlass/v1/SetPassthroughRequest.ts';
import type { SetPassthroughResponse as _windlass_v1_SetPassthroughResponse, SetPassthroughResponse__Output as _windlass_v1_SetPassthroughResponse__Output } from '../../windlass/v1/SetPassthroughResponse.ts';
import type { UnpinRequest as _windlass_v1_UnpinRequest, UnpinRequest__Output as _windlass_v1_UnpinRequest__Output } from '../../windlass/v1/UnpinRequest.ts';
import type { VerifyEvent as _windlass_v1_VerifyEvent, VerifyEvent__Output as _windlass_v1_VerifyEvent__Output } from '../../windlass/v1/VerifyEvent.ts';
import type { VerifyRequest as _windlass_v1_VerifyRequest, VerifyRequest__Output as _windlass_v1_VerifyRequest__Output } from '../../windlass/v1/VerifyRequest.ts';
import type { WhyRequest as _windlass_v1_WhyRequest, WhyRequest__Output as _windlass_v1_WhyRequest__Output } from '../../windlass/v1/WhyRequest.ts';
import type { WhyResponse as _windlass_v1_WhyResponse, WhyResponse__Output as _windlass_v1_WhyResponse__Output } from '../../windlass/v1/WhyResponse.ts';

export interface WindlassClient extends grpc.Client {
  /**
   * Removes what nothing needs: layers that nothing holds, and images by age and disk pressure.
   */
  Collect(argument: _windlass_v1_CollectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  Collect(argument: _windlass_v1_CollectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  Collect(argument: _windlass_v1_CollectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  Collect(argument: _windlass_v1_CollectRequest, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Removes what nothing needs: layers that nothing holds, and images by age and disk pressure.
   */
  collect(argument: _windlass_v1_CollectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  collect(argument: _windlass_v1_CollectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  collect(argument: _windlass_v1_CollectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  collect(argument: _windlass_v1_CollectRequest, callback: grpc.requestCallback<_windlass_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Says where an image's layers lie, for who puts their tars together again, and holds them until the call is cancelled: the one answer is
   * followed by nothing. NOT_FOUND if it is not here, INVALID_ARGUMENT where nothing is kept that a tar could be made with.
   */
  Hold(argument: _windlass_v1_HoldRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_HoldResponse__Output>;
  Hold(argument: _windlass_v1_HoldRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_HoldResponse__Output>;
  /**
   * Says where an image's layers lie, for who puts their tars together again, and holds them until the call is cancelled: the one answer is
   * followed by nothing. NOT_FOUND if it is not here, INVALID_ARGUMENT where nothing is kept that a tar could be made with.
   */
  hold(argument: _windlass_v1_HoldRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_HoldResponse__Output>;
  hold(argument: _windlass_v1_HoldRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_HoldResponse__Output>;
  
  /**
   * Which daemon this is, and what it serves.
   */
  Info(argument: _windlass_v1_InfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  Info(argument: _windlass_v1_InfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  Info(argument: _windlass_v1_InfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  Info(argument: _windlass_v1_InfoRequest, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Which daemon this is, and what it serves.
   */
  info(argument: _windlass_v1_InfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  info(argument: _windlass_v1_InfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  info(argument: _windlass_v1_InfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  info(argument: _windlass_v1_InfoRequest, callback: grpc.requestCallback<_windlass_v1_InfoResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Everything known about one image that is here.
   */
  InspectImage(argument: _windlass_v1_InspectImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  InspectImage(argument: _windlass_v1_InspectImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  InspectImage(argument: _windlass_v1_InspectImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  InspectImage(argument: _windlass_v1_InspectImageRequest, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Everything known about one image that is here.
   */
  inspectImage(argument: _windlass_v1_InspectImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  inspectImage(argument: _windlass_v1_InspectImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  inspectImage(argument: _windlass_v1_InspectImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  inspectImage(argument: _windlass_v1_InspectImageRequest, callback: grpc.requestCallback<_windlass_v1_InspectImageResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The layers known to be damaged.
   */
  ListDamaged(argument: _windlass_v1_ListDamagedRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  ListDamaged(argument: _windlass_v1_ListDamagedRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  ListDamaged(argument: _windlass_v1_ListDamagedRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  ListDamaged(argument: _windlass_v1_ListDamagedRequest, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The layers known to be damaged.
   */
  listDamaged(argument: _windlass_v1_ListDamagedRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  listDamaged(argument: _windlass_v1_ListDamagedRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  listDamaged(argument: _windlass_v1_ListDamagedRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  listDamaged(argument: _windlass_v1_ListDamagedRequest, callback: grpc.requestCallback<_windlass_v1_ListDamagedResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The reports of the last pulls that ended, newest first, whoever asked for them.
   */
  ListHistory(argument: _windlass_v1_ListHistoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  ListHistory(argument: _windlass_v1_ListHistoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  ListHistory(argument: _windlass_v1_ListHistoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  ListHistory(argument: _windlass_v1_ListHistoryRequest, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The reports of the last pulls that ended, newest first, whoever asked for them.
   */
  listHistory(argument: _windlass_v1_ListHistoryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  listHistory(argument: _windlass_v1_ListHistoryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  listHistory(argument: _windlass_v1_ListHistoryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  listHistory(argument: _windlass_v1_ListHistoryRequest, callback: grpc.requestCallback<_windlass_v1_ListHistoryResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The platforms a reference has images for.
   */
  ListPlatforms(argument: _windlass_v1_ListPlatformsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  ListPlatforms(argument: _windlass_v1_ListPlatformsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  ListPlatforms(argument: _windlass_v1_ListPlatformsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  ListPlatforms(argument: _windlass_v1_ListPlatformsRequest, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The platforms a reference has images for.
   */
  listPlatforms(argument: _windlass_v1_ListPlatformsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  listPlatforms(argument: _windlass_v1_ListPlatformsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  listPlatforms(argument: _windlass_v1_ListPlatformsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  listPlatforms(argument: _windlass_v1_ListPlatformsRequest, callback: grpc.requestCallback<_windlass_v1_ListPlatformsResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The pulls in flight, whoever started them.
   */
  ListPulls(argument: _windlass_v1_ListPullsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  ListPulls(argument: _windlass_v1_ListPullsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  ListPulls(argument: _windlass_v1_ListPullsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  ListPulls(argument: _windlass_v1_ListPullsRequest, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The pulls in flight, whoever started them.
   */
  listPulls(argument: _windlass_v1_ListPullsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  listPulls(argument: _windlass_v1_ListPullsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  listPulls(argument: _windlass_v1_ListPullsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  listPulls(argument: _windlass_v1_ListPullsRequest, callback: grpc.requestCallback<_windlass_v1_ListPullsResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * What this node has to pull: the pulls in flight, and what image lists declare.
   */
  ListQueue(argument: _windlass_v1_ListQueueRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  ListQueue(argument: _windlass_v1_ListQueueRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  ListQueue(argument: _windlass_v1_ListQueueRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  ListQueue(argument: _windlass_v1_ListQueueRequest, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  /**
   * What this node has to pull: the pulls in flight, and what image lists declare.
   */
  listQueue(argument: _windlass_v1_ListQueueRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  listQueue(argument: _windlass_v1_ListQueueRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  listQueue(argument: _windlass_v1_ListQueueRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  listQueue(argument: _windlass_v1_ListQueueRequest, callback: grpc.requestCallback<_windlass_v1_ListQueueResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The tags that were last answered with what they had named before, because their registry could not be reached.
   */
  ListStale(argument: _windlass_v1_ListStaleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  ListStale(argument: _windlass_v1_ListStaleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  ListStale(argument: _windlass_v1_ListStaleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  ListStale(argument: _windlass_v1_ListStaleRequest, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The tags that were last answered with what they had named before, because their registry could not be reached.
   */
  listStale(argument: _windlass_v1_ListStaleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  listStale(argument: _windlass_v1_ListStaleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  listStale(argument: _windlass_v1_ListStaleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  listStale(argument: _windlass_v1_ListStaleRequest, callback: grpc.requestCallback<_windlass_v1_ListStaleResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Pulls an image out of an archive that the caller has. The daemon opens no file: it asks for the parts that are not here yet. The first
   * request is `start`, the last event `done`; whoever cannot give what is wanted cancels the call.
   */
  Load(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_windlass_v1_LoadRequest, _windlass_v1_LoadResponse__Output>;
  Load(options?: grpc.CallOptions): grpc.ClientDuplexStream<_windlass_v1_LoadRequest, _windlass_v1_LoadResponse__Output>;
  /**
   * Pulls an image out of an archive that the caller has. The daemon opens no file: it asks for the parts that are not here yet. The first
   * request is `start`, the last event `done`; whoever cannot give what is wanted cancels the call.
   */
  load(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_windlass_v1_LoadRequest, _windlass_v1_LoadResponse__Output>;
  load(options?: grpc.CallOptions): grpc.ClientDuplexStream<_windlass_v1_LoadRequest, _windlass_v1_LoadResponse__Output>;
  
  /**
   * What a reference names, as documents, at its registry or as it is kept here. Moves no layer.
   */
  LookUp(argument: _windlass_v1_LookUpRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  LookUp(argument: _windlass_v1_LookUpRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  LookUp(argument: _windlass_v1_LookUpRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  LookUp(argument: _windlass_v1_LookUpRequest, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  /**
   * What a reference names, as documents, at its registry or as it is kept here. Moves no layer.
   */
  lookUp(argument: _windlass_v1_LookUpRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  lookUp(argument: _windlass_v1_LookUpRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  lookUp(argument: _windlass_v1_LookUpRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  lookUp(argument: _windlass_v1_LookUpRequest, callback: grpc.requestCallback<_windlass_v1_LookUpResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Keeps an image, in place of what this owner wanted before. NOT_FOUND if it is not here.
   */
  Pin(argument: _windlass_v1_PinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  Pin(argument: _windlass_v1_PinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  Pin(argument: _windlass_v1_PinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  Pin(argument: _windlass_v1_PinRequest, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Keeps an image, in place of what this owner wanted before. NOT_FOUND if it is not here.
   */
  pin(argument: _windlass_v1_PinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  pin(argument: _windlass_v1_PinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  pin(argument: _windlass_v1_PinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  pin(argument: _windlass_v1_PinRequest, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * What a pull would do: resolves the reference, moves no layer.
   */
  Plan(argument: _windlass_v1_PlanRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  Plan(argument: _windlass_v1_PlanRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  Plan(argument: _windlass_v1_PlanRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  Plan(argument: _windlass_v1_PlanRequest, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  /**
   * What a pull would do: resolves the reference, moves no layer.
   */
  plan(argument: _windlass_v1_PlanRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  plan(argument: _windlass_v1_PlanRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  plan(argument: _windlass_v1_PlanRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  plan(argument: _windlass_v1_PlanRequest, callback: grpc.requestCallback<_windlass_v1_PlanResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Pulls an image, or joins the same pull in flight, and streams what happens. The last event is `done`; a failure ends the stream
   * with a status whose message says what to do. Cancelling the call leaves the pull to whoever else waits for it.
   */
  Pull(argument: _windlass_v1_PullRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_PullEvent__Output>;
  Pull(argument: _windlass_v1_PullRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_PullEvent__Output>;
  /**
   * Pulls an image, or joins the same pull in flight, and streams what happens. The last event is `done`; a failure ends the stream
   * with a status whose message says what to do. Cancelling the call leaves the pull to whoever else waits for it.
   */
  pull(argument: _windlass_v1_PullRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_PullEvent__Output>;
  pull(argument: _windlass_v1_PullRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_PullEvent__Output>;
  
  /**
   * Removes a tag, or an image with all its names when it is named by id or digest.
   */
  RemoveImage(argument: _windlass_v1_RemoveImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  RemoveImage(argument: _windlass_v1_RemoveImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  RemoveImage(argument: _windlass_v1_RemoveImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  RemoveImage(argument: _windlass_v1_RemoveImageRequest, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Removes a tag, or an image with all its names when it is named by id or digest.
   */
  removeImage(argument: _windlass_v1_RemoveImageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  removeImage(argument: _windlass_v1_RemoveImageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  removeImage(argument: _windlass_v1_RemoveImageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  removeImage(argument: _windlass_v1_RemoveImageRequest, callback: grpc.requestCallback<_windlass_v1_RemoveImageResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Hands every CRI call to the runtime as it comes, or does pulls itself again. FAILED_PRECONDITION where there is no runtime, or
   * nothing but it.
   */
  SetPassthrough(argument: _windlass_v1_SetPassthroughRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  SetPassthrough(argument: _windlass_v1_SetPassthroughRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  SetPassthrough(argument: _windlass_v1_SetPassthroughRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  SetPassthrough(argument: _windlass_v1_SetPassthroughRequest, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Hands every CRI call to the runtime as it comes, or does pulls itself again. FAILED_PRECONDITION where there is no runtime, or
   * nothing but it.
   */
  setPassthrough(argument: _windlass_v1_SetPassthroughRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  setPassthrough(argument: _windlass_v1_SetPassthroughRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  setPassthrough(argument: _windlass_v1_SetPassthroughRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  setPassthrough(argument: _windlass_v1_SetPassthroughRequest, callback: grpc.requestCallback<_windlass_v1_SetPassthroughResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Takes back one owner's pin, or all. NOT_FOUND if the image is not here.
   */
  Unpin(argument: _windlass_v1_UnpinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  Unpin(argument: _windlass_v1_UnpinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  Unpin(argument: _windlass_v1_UnpinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  Unpin(argument: _windlass_v1_UnpinRequest, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Takes back one owner's pin, or all. NOT_FOUND if the image is not here.
   */
  unpin(argument: _windlass_v1_UnpinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  unpin(argument: _windlass_v1_UnpinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  unpin(argument: _windlass_v1_UnpinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  unpin(argument: _windlass_v1_UnpinRequest, callback: grpc.requestCallback<_windlass_v1_PinResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Compares the layers that are here with what was pulled, and remembers what is damaged: the next pull brings that again. With `repair`
   * it is brought at once. The last event is `done`, whatever was found.
   */
  Verify(argument: _windlass_v1_VerifyRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_VerifyEvent__Output>;
  Verify(argument: _windlass_v1_VerifyRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_VerifyEvent__Output>;
  /**
   * Compares the layers that are here with what was pulled, and remembers what is damaged: the next pull brings that again. With `repair`
   * it is brought at once. The last event is `done`, whatever was found.
   */
  verify(argument: _windlass_v1_VerifyRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_VerifyEvent__Output>;
  verify(argument: _windlass_v1_VerifyRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_VerifyEvent__Output>;
  
  /**
   * The same, again whenever it changes (at most ten times a second), until the call is cancelled.
   */
  WatchPulls(argument: _windlass_v1_ListPullsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListPullsResponse__Output>;
  WatchPulls(argument: _windlass_v1_ListPullsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListPullsResponse__Output>;
  /**
   * The same, again whenever it changes (at most ten times a second), until the call is cancelled.
   */
  watchPulls(argument: _windlass_v1_ListPullsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListPullsResponse__Output>;
  watchPulls(argument: _windlass_v1_ListPullsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListPullsResponse__Output>;
  
  /**
   * The same, again whenever it changes, until the call is cancelled.
   */
  WatchQueue(argument: _windlass_v1_ListQueueRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListQueueResponse__Output>;
  WatchQueue(argument: _windlass_v1_ListQueueRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListQueueResponse__Output>;
  /**
   * The same, again whenever it changes, until the call is cancelled.
   */
  watchQueue(argument: _windlass_v1_ListQueueRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListQueueResponse__Output>;
  watchQueue(argument: _windlass_v1_ListQueueRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_windlass_v1_ListQueueResponse__Output>;
  
  /**
   * What holds an image, a layer or a document.
   */
  Why(argument: _windlass_v1_WhyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  Why(argument: _windlass_v1_WhyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  Why(argument: _windlass_v1_WhyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  Why(argument: _windlass_v1_WhyRequest, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  /**
   * What holds an image, a layer or a document.
   */
  why(argument: _windlass_v1_WhyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  why(argument: _windlass_v1_WhyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  why(argument: _windlass_v1_WhyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  why(argument: _windlass_v1_WhyRequest, callback: grpc.requestCallback<_windlass_v1_WhyResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface WindlassHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Removes what nothing needs: layers that nothing holds, and images by age and disk pressure.
   */
  Collect: grpc.handleUnaryCall<_windlass_v1_CollectRequest__Output, _windlass_v1_CollectResponse>;
  
  /**
   * Says where an image's layers lie, for who puts their tars together again, and holds them until the call is cancelled: the one answer is
   * followed by nothing. NOT_FOUND if it is not here, INVALID_ARGUMENT where nothing is kept that a tar could be made with.
   */
  Hold: grpc.handleServerStreamingCall<_windlass_v1_HoldRequest__Output, _windlass_v1_HoldResponse>;
  
  /**
   * Which daemon this is, and what it serves.
   */
  Info: grpc.handleUnaryCall<_windlass_v1_InfoRequest__Output, _windlass_v1_InfoResponse>;
  
  /**
   * Everything known about one image that is here.
   */
  InspectImage: grpc.handleUnaryCall<_windlass_v1_InspectImageRequest__Output, _windlass_v1_InspectImageResponse>;
  
  /**
   * The layers known to be damaged.
   */
  ListDamaged: grpc.handleUnaryCall<_windlass_v1_ListDamagedRequest__Output, _windlass_v1_ListDamagedResponse>;
  
  /**
   * The reports of the last pulls that ended, newest first, whoever asked for them.
   */
  ListHistory: grpc.handleUnaryCall<_windlass_v1_ListHistoryRequest__Output, _windlass_v1_ListHistoryResponse>;
  
  /**
   * The platforms a reference has images for.
   */
  ListPlatforms: grpc.handleUnaryCall<_windlass_v1_ListPlatformsRequest__Output, _windlass_v1_ListPlatformsResponse>;
  
  /**
   * The pulls in flight, whoever started them.
   */
  ListPulls: grpc.handleUnaryCall<_windlass_v1_ListPullsRequest__Output, _windlass_v1_ListPullsResponse>;
  
  /**
   * What this node has to pull: the pulls in flight, and what image lists declare.
   */
  ListQueue: grpc.handleUnaryCall<_windlass_v1_ListQueueRequest__Output, _windlass_v1_ListQueueResponse>;
  
  /**
   * The tags that were last answered with what they had named before, because their registry could not be reached.
   */
  ListStale: grpc.handleUnaryCall<_windlass_v1_ListStaleRequest__Output, _windlass_v1_ListStaleResponse>;
  
  /**
   * Pulls an image out of an archive that the caller has. The daemon opens no file: it asks for the parts that are not here yet. The first
   * request is `start`, the last event `done`; whoever cannot give what is wanted cancels the call.
   */
  Load: grpc.handleBidiStreamingCall<_windlass_v1_LoadRequest__Output, _windlass_v1_LoadResponse>;
  
  /**
   * What a reference names, as documents, at its registry or as it is kept here. Moves no layer.
   */
  LookUp: grpc.handleUnaryCall<_windlass_v1_LookUpRequest__Output, _windlass_v1_LookUpResponse>;
  
  /**
   * Keeps an image, in place of what this owner wanted before. NOT_FOUND if it is not here.
   */
  Pin: grpc.handleUnaryCall<_windlass_v1_PinRequest__Output, _windlass_v1_PinResponse>;
  
  /**
   * What a pull would do: resolves the reference, moves no layer.
   */
  Plan: grpc.handleUnaryCall<_windlass_v1_PlanRequest__Output, _windlass_v1_PlanResponse>;
  
  /**
   * Pulls an image, or joins the same pull in flight, and streams what happens. The last event is `done`; a failure ends the stream
   * with a status whose message says what to do. Cancelling the call leaves the pull to whoever else waits for it.
   */
  Pull: grpc.handleServerStreamingCall<_windlass_v1_PullRequest__Output, _windlass_v1_PullEvent>;
  
  /**
   * Removes a tag, or an image with all its names when it is named by id or digest.
   */
  RemoveImage: grpc.handleUnaryCall<_windlass_v1_RemoveImageRequest__Output, _windlass_v1_RemoveImageResponse>;
  
  /**
   * Hands every CRI call to the runtime as it comes, or does pulls itself again. FAILED_PRECONDITION where there is no runtime, or
   * nothing but it.
   */
  SetPassthrough: grpc.handleUnaryCall<_windlass_v1_SetPassthroughRequest__Output, _windlass_v1_SetPassthroughResponse>;
  
  /**
   * Takes back one owner's pin, or all. NOT_FOUND if the image is not here.
   */
  Unpin: grpc.handleUnaryCall<_windlass_v1_UnpinRequest__Output, _windlass_v1_PinResponse>;
  
  /**
   * Compares the layers that are here with what was pulled, and remembers what is damaged: the next pull brings that again. With `repair`
   * it is brought at once. The last event is `done`, whatever was found.
   */
  Verify: grpc.handleServerStreamingCall<_windlass_v1_VerifyRequest__Output, _windlass_v1_VerifyEvent>;
  
  /**
   * The same, again whenever it changes (at most ten times a second), until the call is cancelled.
   */
  WatchPulls: grpc.handleServerStreamingCall<_windlass_v1_ListPullsRequest__Output, _windlass_v1_ListPullsResponse>;
  
  /**
   * The same, again whenever it changes, until the call is cancelled.
   */
  WatchQueue: grpc.handleServerStreamingCall<_windlass_v1_ListQueueRequest__Output, _windlass_v1_ListQueueResponse>;
  
  /**
   * What holds an image, a layer or a document.
   */
  Why: grpc.handleUnaryCall<_windlass_v1_WhyRequest__Output, _windlass_v1_WhyResponse>;
  
}

export interface WindlassDefinition extends grpc.ServiceDefinition {
  Collect: MethodDefinition<_windlass_v1_CollectRequest, _windlass_v1_CollectResponse, _windlass_v1_CollectRequest__Output, _windlass_v1_CollectResponse__Output>
  Hold: MethodDefinition<_windlass_v1_HoldRequest, _windlass_v1_HoldResponse, _windlass_v1_HoldRequest__Output, _windlass_v1_HoldResponse__Output>
  Info: MethodDefinition<_windlass_v1_InfoRequest, _windlass_v1_InfoResponse, _windlass_v1_InfoRequest__Output, _windlass_v1_InfoResponse__Output>
  InspectImage: MethodDefinition<_windlass_v1_InspectImageRequest, _windlass_v1_InspectImageResponse, _windlass_v1_InspectImageRequest__Output, _windlass_v1_InspectImageResponse__Output>
  ListDamaged: MethodDefinition<_windlass_v1_ListDamagedRequest, _windlass_v1_ListDamagedResponse, _windlass_v1_ListDamagedRequest__Output, _windlass_v1_ListDamagedResponse__Output>
  ListHistory: MethodDefinition<_windlass_v1_ListHistoryRequest, _windlass_v1_ListHistoryResponse, _windlass_v1_ListHistoryRequest__Output, _windlass_v1_ListHistoryResponse__Output>
  ListPlatforms: MethodDefinition<_windlass_v1_ListPlatformsRequest, _windlass_v1_ListPlatformsResponse, _windlass_v1_ListPlatformsRequest__Output, _windlass_v1_ListPlatformsResponse__Output>
  ListPulls: MethodDefinition<_windlass_v1_ListPullsRequest, _windlass_v1_ListPullsResponse, _windlass_v1_ListPullsRequest__Output, _windlass_v1_ListPullsResponse__Output>
  ListQueue: MethodDefinition<_windlass_v1_ListQueueRequest, _windlass_v1_ListQueueResponse, _windlass_v1_ListQueueRequest__Output, _windlass_v1_ListQueueResponse__Output>
  ListStale: MethodDefinition<_windlass_v1_ListStaleRequest, _windlass_v1_ListStaleResponse, _windlass_v1_ListStaleRequest__Output, _windlass_v1_ListStaleResponse__Output>
  Load: MethodDefinition<_windlass_v1_LoadRequest, _windlass_v1_LoadResponse, _windlass_v1_LoadRequest__Output, _windlass_v1_LoadResponse__Output>
  LookUp: MethodDefinition<_windlass_v1_LookUpRequest, _windlass_v1_LookUpResponse, _windlass_v1_LookUpRequest__Output, _windlass_v1_LookUpResponse__Output>
  Pin: MethodDefinition<_windlass_v1_PinRequest, _windlass_v1_PinResponse, _windlass_v1_PinRequest__Output, _windlass_v1_PinResponse__Output>
  Plan: MethodDefinition<_windlass_v1_PlanRequest, _windlass_v1_PlanResponse, _windlass_v1_PlanRequest__Output, _windlass_v1_PlanResponse__Output>
  Pull: MethodDefinition<_windlass_v1_PullRequest, _windlass_v1_PullEvent, _windlass_v1_PullRequest__Output, _windlass_v1_PullEvent__Output>
  RemoveImage: MethodDefinition<_windlass_v1_RemoveImageRequest, _windlass_v1_RemoveImageResponse, _windlass_v1_RemoveImageRequest__Output, _windlass_v1_RemoveImageResponse__Output>
  SetPassthrough: MethodDefinition<_windlass_v1_SetPassthroughRequest, _windlass_v1_SetPassthroughResponse, _windlass_v1_SetPassthroughRequest__Output, _windlass_v1_SetPassthroughResponse__Output>
  Unpin: MethodDefinition<_windlass_v1_UnpinRequest, _windlass_v1_PinResponse, _windlass_v1_UnpinRequest__Output, _windlass_v1_PinResponse__Output>
  Verify: MethodDefinition<_windlass_v1_VerifyRequest, _windlass_v1_VerifyEvent, _windlass_v1_VerifyRequest__Output, _windlass_v1_VerifyEvent__Output>
  WatchPulls: MethodDefinition<_windlass_v1_ListPullsRequest, _windlass_v1_ListPullsResponse, _windlass_v1_ListPullsRequest__Output, _windlass_v1_ListPullsResponse__Output>
  WatchQueue: MethodDefinition<_windlass_v1_ListQueueRequest, _windlass_v1_ListQueueResponse, _windlass_v1_ListQueueRequest__Output, _windlass_v1_ListQueueResponse__Output>
  Why: MethodDefinition<_windlass_v1_WhyRequest, _windlass_v1_WhyResponse, _windlass_v1_WhyRequest__Output, _windlass_v1_WhyResponse__Output>
}
